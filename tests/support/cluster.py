"""A standalone Spark cluster on loopback: a master and two workers with more slots than cores."""

import json
import os
import signal
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from support import ports, session
from support.servers import Server

#: Tasks that each worker runs at once: they wait for a service most of the time.
SLOTS = 16

_WORKERS = 2


class Cluster:
    """The processes of a cluster of the suite's Spark; use as a context manager."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._port, self._web_port = ports.free(), ports.free()
        self._servers = ExitStack()

    @property
    def master(self) -> str:
        """What a session names as its master."""
        return f"spark://127.0.0.1:{self._port}"

    def __enter__(self):
        ports = ["--port", str(self._port), "--webui-port", str(self._web_port)]
        master = self._start("master.Master", "master", ports)
        master.until(lambda: self._workers() is not None)
        for number in range(_WORKERS):
            size = ["--webui-port", "0", "--cores", str(SLOTS), "--memory", "1g"]
            self._start("worker.Worker", f"worker-{number}", [*size, self.master])
        master.until(lambda: self._workers() == _WORKERS)
        return self

    def __exit__(self, *_):
        self._servers.close()

    def _start(self, name: str, folder: str, arguments: list[str]) -> Server:
        return self._servers.enter_context(
            Server(
                "spark-class",
                [f"org.apache.spark.deploy.{name}", "--host", "127.0.0.1", *arguments],
                self._folder / folder,
                variables={
                    "SPARK_DAEMON_MEMORY": "256m",
                    "SPARK_WORKER_DIR": str(self._folder / folder),
                },
            )
        )

    def _workers(self) -> int | None:
        """Workers that the master knows; `None` before it answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._web_port}/json/") as answer:
                state = json.load(answer)
        except OSError:
            return None

        return sum(worker["state"] == "ALIVE" for worker in state["workers"])


def start(spec: dict):
    """The session of a driver on a cluster, every slot of which is there already.

    `spec` has `master`, `jars` and `folder` as of `session.start`, and may have `delta`.
    """
    session.use_host_zone()
    settings = {
        "spark.master": spec["master"],
        "spark.executor.memory": "512m",
        "spark.executor.cores": str(SLOTS),
        "spark.executor.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
    }
    spark = session.start(
        "lakeflow-cluster",
        [Path(jar) for jar in spec["jars"]],
        Path(spec["folder"]),
        delta=spec.get("delta", False),
        settings=settings,
    )
    spark.range(0, 64, 1, 64).count()

    return spark


def tasks(spark) -> dict[str, int]:
    """Tasks that each executor has ended, by the executor's id."""
    context = spark.sparkContext._jsc.sc()
    context.listenerBus().waitUntilEmpty()
    executors = context.statusStore().executorList(False).iterator()
    ended = {}
    while executors.hasNext():
        executor = executors.next()
        ended[executor.id()] = executor.completedTasks()
    ended.pop("driver", None)

    return ended


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
