"""Servers of Spark as processes, with their output in a file."""

import os
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from support import environment, ports, session, wheel

#: Longest start, in seconds.
_PATIENCE = 120


class Server:
    """A script of Spark that serves until it is closed; use as a context manager.

    Args:
        script: name in Spark's `bin`.
        arguments: of the script.
        folder: its working directory, made if it is missing; takes its output.
        variables: more of its environment.
        spark_home: whose script it is, the suite's own unless given.
    """

    def __init__(
        self,
        script: str,
        arguments: list[str],
        folder: Path,
        *,
        variables: dict | None = None,
        spark_home: Path | None = None,
    ):
        home = spark_home or environment.spark_home()
        folder.mkdir(parents=True, exist_ok=True)
        self._output = folder / "output.txt"
        known = {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1"}
        with self._output.open("wb") as sink:
            self._process = subprocess.Popen(
                [str(home / "bin" / script), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=os.environ | known | (variables or {}),
                cwd=folder,
            )

    def until(self, answer):
        """What `answer()` gives as soon as that is true.

        Raises:
            AssertionError: the server ended, or nothing came in time; with the end of its output.
        """
        give_up = time.monotonic() + _PATIENCE
        while not (answered := answer()):
            told = self._output.read_text(errors="replace")[-4000:]
            assert self._process.poll() is None, f"the server ended:\n{told}"
            assert time.monotonic() < give_up, f"no answer within {_PATIENCE} s:\n{told}"
            time.sleep(0.1)

        return answered

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(timeout=60)


@contextmanager
def connect_server(
    folder: Path,
    jars: list[Path],
    python: Path | None = None,
    *,
    settings: dict | None = None,
    variables: dict | None = None,
):
    """A Spark Connect server on loopback; what a client names.

    Args:
        folder: its working directory.
        jars: what `--jars` takes.
        python: of an environment with Spark and the wheel, of which it serves alone; else it is the
            suite's Spark.
        settings: more settings of Spark.
        variables: more of its environment.
    """
    port, home = ports.free(), None
    values = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": port,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.session.timeZone": session.SESSION_ZONE,
        "spark.ui.enabled": "false",
    } | (settings or {})
    arguments = [
        *("--class", "org.apache.spark.sql.connect.service.SparkConnectServer"),
        *("--master", "local[2]", "--driver-memory", "1g"),
        *(("--jars", ",".join(map(str, jars))) if jars else ()),
        *(part for key, value in values.items() for part in ("--conf", f"{key}={value}")),
        "spark-internal",
    ]
    if python:
        home = next(python.parent.parent.glob("lib/python3*/site-packages/pyspark"))
        variables = wheel.alone(python) | {"PYSPARK_PYTHON": str(python)} | (variables or {})
    with Server("spark-submit", arguments, folder, variables=variables, spark_home=home) as server:
        server.until(lambda: _listens(port))
        yield f"sc://127.0.0.1:{port}"


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
