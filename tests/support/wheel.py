"""The wheel in fresh Python environments, with nothing of the checkout in reach."""

import os
import subprocess
from pathlib import Path

from support import environment

#: Spark lines on which the Python data source works.
LINES = ("4_0", "4_1", "4_2", "4_3")


def wheel() -> Path:
    """The wheel that bin/build made."""
    found = sorted(environment.path("LAKEFLOW_WHEELS").glob("lakeflow_connect-*.whl"))
    assert len(found) == 1, found

    return found[0]


def without_spark(folder: Path) -> Path:
    """The interpreter of an environment with the wheel and the libraries that read Arrow."""
    return _environment(folder, environment.path("LAKEFLOW_DATA_VENV"), everything=True)


def with_spark(folder: Path, line: str, *, pipelines: bool = False) -> Path:
    """The interpreter of an environment with the wheel, Spark of a line, and pyarrow; with what
    `pipelines` need, if asked for."""
    python = _environment(folder, environment.path("LAKEFLOW_DATA_VENV"), everything=pipelines)
    _link_spark(folder, line)

    return python


def _link_spark(folder: Path, line: str):
    source = _packages(environment.path(f"LAKEFLOW_VENV_{line}"))
    for name in ("pyspark", "py4j"):
        (_packages(folder) / name).symlink_to(source / name)


def with_notebooks(folder: Path, line: str) -> Path:
    """The interpreter of an environment with the wheel, Spark of a line, and notebooks."""
    python = _environment(folder, environment.path("LAKEFLOW_NOTEBOOK_VENV"), everything=True)
    _link_spark(folder, line)

    return python


def connect_client(folder: Path) -> Path:
    """The interpreter of an environment with the wheel and a client of Spark Connect."""
    return _environment(folder, environment.path("LAKEFLOW_CONNECT_CLIENT"), everything=True)


def alone(python: Path) -> dict[str, str]:
    """Variables for a process that shall find nothing but its environment, Java and the system."""
    kept = [part for part in os.environ["PATH"].split(":") if ".cargo" not in part]
    java = Path(os.environ["JAVA_HOME"]) / "bin"

    return {
        "PATH": ":".join([str(python.parent), str(java), *kept]),
        "PYTHONPATH": "",
        "CARGO_HOME": "/nowhere",
    } | {name: "" for name in os.environ if name in ("LAKEFLOW_JAR", "LAKEFLOW_TESTING_JAR")}


def _environment(folder: Path, libraries: Path, *, everything: bool) -> Path:
    base = libraries / "bin" / "python"
    subprocess.run([base, "-m", "venv", "--without-pip", folder], check=True)
    source, target = _packages(libraries), _packages(folder)
    wanted = (p for p in source.iterdir() if everything or p.name.startswith("pyarrow"))
    for path in wanted:
        (target / path.name).symlink_to(path)
    install = ["-m", "pip", "--python", folder / "bin" / "python", "install", "--quiet"]
    offline = ["--no-index", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([base, *install, *offline, wheel()], check=True)

    return folder / "bin" / "python"


def _packages(home: Path) -> Path:
    return next(home.glob("lib/python3*/site-packages"))
