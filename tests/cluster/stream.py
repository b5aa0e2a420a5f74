"""A driver on a cluster that runs a stream to its end, or dies in the middle of it.

Takes one argument, a JSON file:

- `master`, `jars`, `delta`, `folder`: of the session;
- `simulator`, `options`: the service and what streams its table;
- `table`, `checkpoint`: where the stream goes;
- `die_after`: number of requests after which the JVM is killed, `null` for none;
- `result`: file that takes `asked`, bounds of the requests, and `jvm_exit`, or `batches` (rows of
  each), `tasks` (of each executor) and `shas`, the keys in the table.
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


def main(spec: dict):
    """Runs the stream."""
    spark = cluster.start(spec)
    simulator = Connection(spec["simulator"])
    simulator.clear_requests()
    frame = streams.load(spark, spec["options"])
    told = {}
    before = cluster.tasks(spark)
    if spec["die_after"] is not None:
        jvm = spark.sparkContext._gateway.proc
        pid = spark.sparkContext._gateway.jvm.java.lang.ProcessHandle.current().pid()
        # Slow enough that tasks are in the middle of their reads.
        simulator.fault(path="/github/*", kind={"latency": {"ms": 1000}})
        threading.Thread(target=_kill, args=(simulator, spec["die_after"], pid)).start()
    try:
        run = streams.drain(frame, Path(spec["table"]), Path(spec["checkpoint"]))
    except Exception as error:
        if spec["die_after"] is None:
            raise
        print(f"the driver lost its JVM: {type(error).__name__}", file=sys.stderr)
        told["jvm_exit"] = jvm.wait(timeout=60)
        simulator.clear_faults()
    else:
        ended = cluster.tasks(spark)
        rows = streams.table(spark, Path(spec["table"])).select("sha").collect()
        told["batches"] = run.batches
        told["tasks"] = {name: count - before.get(name, 0) for name, count in ended.items()}
        told["shas"] = [row.sha for row in rows]
    told["asked"] = [(r.query.get("since"), r.query.get("until")) for r in simulator.requests()]
    Path(spec["result"]).write_text(json.dumps(told))


def _kill(simulator: Connection, requests: int, process: int):
    while len(simulator.requests()) < requests:
        time.sleep(0.02)
    cluster.kill(process)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
    sys.stdout.flush()
    os._exit(0)
