"""The file of named connections that every JVM of the suite knows, with what a test puts there."""

import json
import os
import tempfile
from pathlib import Path

_VARIABLE = "LAKEFLOW_CONNECTIONS_FILE"


def prepare():
    """Names the file to processes that are started from here on."""
    os.environ[_VARIABLE] = str(Path(tempfile.mkdtemp(prefix="lakeflow-tests-")) / "connections")


def write(**connections: dict):
    """Makes these the only connections: name to options."""
    _fill(Path(os.environ[_VARIABLE]), connections)


def file(folder: Path, **connections: dict) -> Path:
    """A file of its own with these connections, for another process."""
    _fill(folder / "connections", connections)

    return folder / "connections"


def _fill(file: Path, connections: dict):
    lines = []
    for name, options in connections.items():
        lines.append(f"[{name}]")
        lines += [f"{option} = {json.dumps(str(value))}" for option, value in options.items()]
    file.touch(mode=0o600)
    file.write_text("\n".join(lines) + "\n")
