"""A standalone Spark cluster on loopback: a master and two workers with more slots than cores."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

from support import environment

#: Tasks that each worker runs at once: they wait for a service most of the time.
SLOTS = 16

_WORKERS = 2

#: Longest start, in seconds.
_PATIENCE = 120


class Cluster:
    """The processes of a cluster of the suite's Spark; use as a context manager."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True)
        self._folder = folder
        self._home = next(
            environment.python().parent.parent.glob("lib/python3*/site-packages/pyspark")
        )
        self._port, self._web_port = _free_ports(2)
        self._processes = []

    @property
    def master(self) -> str:
        """What a session names as its master."""
        return f"spark://127.0.0.1:{self._port}"

    def __enter__(self):
        address = ["--host", "127.0.0.1", "--webui-port"]
        self._start("master.Master", [*address, str(self._web_port), "--port", str(self._port)])
        self._until(lambda: self._workers() is not None)
        for number in range(_WORKERS):
            work = ["--work-dir", str(self._folder / f"work-{number}")]
            size = ["--cores", str(SLOTS), "--memory", "1g"]
            self._start("worker.Worker", [*address, "0", *size, *work, self.master])
        self._until(lambda: self._workers() == _WORKERS)
        return self

    def __exit__(self, *_):
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            process.wait(timeout=60)

    def _start(self, name: str, arguments: list[str]):
        command = [str(self._home / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}"]
        output = self._folder / f"{name}-{len(self._processes)}.txt"
        variables = {
            "SPARK_HOME": str(self._home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_DAEMON_MEMORY": "256m",
        }
        with output.open("wb") as sink:
            process = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=os.environ | variables,
                cwd=self._folder,
            )
        self._processes.append(process)

    def _workers(self) -> int | None:
        """Workers that the master knows; `None` before it answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._web_port}/json/") as answer:
                state = json.load(answer)
        except OSError:
            return None

        return sum(worker["state"] == "ALIVE" for worker in state["workers"])

    def _until(self, ready):
        give_up = time.monotonic() + _PATIENCE
        while not ready():
            ended = [process for process in self._processes if process.poll() is not None]
            assert not ended and time.monotonic() < give_up, self._told()
            time.sleep(0.1)

    def _told(self) -> str:
        ends = (path.read_text(errors="replace")[-2000:] for path in self._folder.glob("*.txt"))

        return "the cluster did not start:\n" + "\n".join(ends)


def executors(application: str) -> dict[str, int]:
    """Processes of an application's executors on this machine, by the executor's id."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if application in words and "--executor-id" in words:
            found[words[words.index("--executor-id") + 1]] = int(folder.name)

    return found


def kill(process: int):
    """Ends a process as a machine that fails does."""
    os.kill(process, signal.SIGKILL)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for free in sockets:
        free.bind(("127.0.0.1", 0))
    ports = [free.getsockname()[1] for free in sockets]
    for free in sockets:
        free.close()

    return ports
