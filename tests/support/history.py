"""Spark's history server, which shows what event logs hold after an application has ended."""

import json
import urllib.error
import urllib.request
from pathlib import Path

from support import ports
from support.servers import Server

_RESOURCES = ("environment", "jobs", "stages?details=true", "sql?details=true&planDescription=true")


def pages(spark_home: Path, events: Path, folder: Path) -> list[tuple[str, str]]:
    """What the server's REST API tells of the one application in `events`, by resource.

    Args:
        spark_home: Spark that serves.
        events: folder of the event log.
        folder: new folder for the server's own files.
    """
    port = ports.free()
    settings = {
        "spark.history.fs.logDirectory": events.as_uri(),
        "spark.history.ui.port": port,
        "spark.history.fs.update.interval": "1s",
    }
    options = " ".join(f"-D{name}={value}" for name, value in settings.items())
    with Server(
        "spark-class",
        ["org.apache.spark.deploy.history.HistoryServer"],
        folder,
        variables={"SPARK_HISTORY_OPTS": options},
        spark_home=spark_home,
    ) as server:
        root = f"http://127.0.0.1:{port}/api/v1/applications"
        (application,) = server.until(lambda: _applications(root))
        return [(path, _fetch(f"{root}/{application['id']}/{path}")) for path in _RESOURCES]


def _applications(root: str) -> list[dict]:
    try:
        return json.loads(_fetch(root))
    except urllib.error.URLError:
        return []


def _fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as response:
        return response.read().decode()
