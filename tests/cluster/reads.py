"""A driver on a cluster that reads a table in several ways.

Takes one argument, a JSON file:

- `master`, `jars`, `folder`: of the session;
- `simulator`, `options`: the service and what reads its table;
- `result`: file that takes, by the name of each read, ids, tasks per executor and requests.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support import cluster, streams  # noqa: E402
from support.simulator import Connection  # noqa: E402

#: Requests after which an executor is killed: each task has sent one or two.
_MIDDLE = 48


def main(spec: dict):
    """Reads in one piece, in splits, while records change, and while an executor dies."""
    spark = cluster.start(spec)
    reads = Reads(spark, Connection(spec["simulator"]), spec["options"])
    told = {
        "in one piece": reads.read(numPartitions="1"),
        "in splits": reads.read(),
        "while records change": reads.read_changing(),
        "while an executor dies": reads.read_with_a_death(),
    }
    Path(spec["result"]).write_text(json.dumps(told))
    spark.stop()


class Reads:
    """Batch reads of one table, and what they cost."""

    def __init__(self, spark, simulator: Connection, options: dict):
        self._spark = spark
        self._simulator = simulator
        self._options = options

    def read(self, **more) -> dict:
        """Reads the ids of all records."""
        self._simulator.clear_requests()
        before = cluster.tasks(self._spark)
        frame = streams.read(self._spark, self._options | more)
        ids = sorted(row.id for row in frame.select("id").collect())
        tasks = {
            name: count - before.get(name, 0) for name, count in cluster.tasks(self._spark).items()
        }
        asked = [request.query for request in self._simulator.requests()]

        return {"ids": ids, "tasks": tasks, "asked": asked}

    def read_changing(self) -> dict:
        """Reads while every request changes three records."""
        self._simulator.churn(source="shopify", collection="products", rows=3)
        try:
            return self.read()
        finally:
            self._simulator.stop_churn()

    def read_with_a_death(self) -> dict:
        """Reads while one of the executors dies."""
        killer = threading.Thread(target=self._kill_one)
        self._simulator.fault(path="/shopify/*", kind={"latency": {"ms": 1000}})
        # Else the requests of the read before would count.
        self._simulator.clear_requests()
        killer.start()
        told = self.read()
        killer.join()

        return told

    def _kill_one(self):
        while len(self._simulator.requests()) < _MIDDLE:
            time.sleep(0.02)
        pids = cluster.executors(self._spark.sparkContext.applicationId)
        cluster.kill(pids[min(pids)])


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
    sys.stdout.flush()
    os._exit(0)
