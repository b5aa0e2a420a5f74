"""Paths that `bin/test` hands over; a missing one is an error, never a skipped test."""

import os
from pathlib import Path

#: Spark versions by the suffix of their variable `LAKEFLOW_VENV_<suffix>`.
SPARK_LINES = ("3_5", "4_0", "4_1", "4_3")


def path(variable: str) -> Path:
    """The existing path in `variable`.

    Raises:
        RuntimeError: the variable is not set, or nothing is there.
    """
    value = os.environ.get(variable, "")
    if not value:
        raise RuntimeError(f"{variable} is not set: run through bin/test, bin/demo or bin/bench")
    found = Path(value)
    if not found.exists():
        raise RuntimeError(f"{variable} names {value}, which does not exist")

    return found


def jar() -> Path:
    """The jar that ships."""
    return path("LAKEFLOW_JAR")


def testing_jar() -> Path:
    """The jar with fail points and with sources that misbehave."""
    return path("LAKEFLOW_TESTING_JAR")


def python(line: str) -> Path:
    """The interpreter of one Spark line, such as `4_1`."""
    return path(f"LAKEFLOW_VENV_{line}") / "bin" / "python"


def delta_jars() -> list[Path]:
    """The Delta jars of the main Spark line."""
    value = os.environ.get("LAKEFLOW_DELTA_JARS", "")
    jars = [Path(item) for item in value.split(",") if item]
    if not jars:
        raise RuntimeError("LAKEFLOW_DELTA_JARS is not set: run through bin/test or bin/demo")
    missing = [str(item) for item in jars if not item.exists()]
    if missing:
        raise RuntimeError(f"LAKEFLOW_DELTA_JARS names files that do not exist: {missing}")

    return jars


def recording(scenario: str = "paginate-issues") -> Path:
    """A scenario of GitHub's recorded traffic: the list of issues unless named."""
    scenario = f"scenarios/api.github.com/{scenario}/normalized-fixture.json"
    found = path("LAKEFLOW_FIXTURES") / scenario
    if not found.exists():
        raise RuntimeError(f"LAKEFLOW_FIXTURES holds no {scenario}")

    return found
