"""Spark's history server, which shows what event logs hold after an application has ended."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from support import ports

_RESOURCES = ("environment", "jobs", "stages?details=true", "sql?details=true&planDescription=true")

#: Longest time until the server shows an application, in seconds.
_PATIENCE = 120


def pages(spark_home: Path, events: Path, folder: Path) -> list[tuple[str, str]]:
    """What the server's REST API tells of the one application in `events`, by resource.

    Args:
        spark_home: Spark that serves.
        events: folder of the event log.
        folder: new folder for the server's own files.
    """
    folder.mkdir()
    port = ports.free()
    settings = {
        "spark.history.fs.logDirectory": events.as_uri(),
        "spark.history.ui.port": port,
        "spark.history.fs.update.interval": "1s",
    }
    options = " ".join(f"-D{name}={value}" for name, value in settings.items())
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [
                str(spark_home / "bin" / "spark-class"),
                "org.apache.spark.deploy.history.HistoryServer",
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ
            | {
                "SPARK_HOME": str(spark_home),
                "SPARK_LOCAL_IP": "127.0.0.1",
                "SPARK_HISTORY_OPTS": options,
            },
            cwd=folder,
        )
    try:
        root = f"http://127.0.0.1:{port}/api/v1/applications"
        application = _only_application(root, process, folder / "output.txt")
        return [(path, _fetch(f"{root}/{application}/{path}")) for path in _RESOURCES]
    finally:
        process.terminate()
        process.wait(timeout=60)


def _only_application(root: str, process, output: Path) -> str:
    give_up = time.monotonic() + _PATIENCE
    while True:
        try:
            found = json.loads(_fetch(root))
        except urllib.error.URLError:
            found = []
        if found:
            (application,) = found
            return application["id"]
        told = output.read_text(errors="replace")[-4000:]
        assert process.poll() is None, f"the history server ended:\n{told}"
        assert time.monotonic() < give_up, f"no application within {_PATIENCE} s:\n{told}"
        time.sleep(0.2)


def _fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as response:
        return response.read().decode()
