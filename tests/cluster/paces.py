"""A driver on a cluster that reads a table in several numbers of splits, one after the other.

Takes one argument, a JSON file:

- `master`, `jars`, `folder`: of the session;
- `simulator`, `options`: the service and what reads its table;
- `splits`: the numbers;
- `result`: file that takes, by number, `rows` and `asked`: instant in ms, status.
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support import cluster, streams  # noqa: E402
from support.simulator import Connection  # noqa: E402


def main(spec: dict):
    """Reads with a credential of its own for each number, so that none knows the limit."""
    spark = cluster.start(spec)
    simulator = Connection(spec["simulator"])
    told = {}
    for splits in spec["splits"]:
        simulator.clear_requests()
        own = {"access_token": f"t0ken-for-{splits}", "numPartitions": str(splits)}
        rows = streams.read(spark, spec["options"] | own).select("id").distinct().count()
        asked = [(request.at_ms, request.status) for request in simulator.requests()]
        told[splits] = {"rows": rows, "asked": asked}
    Path(spec["result"]).write_text(json.dumps(told))
    spark.stop()


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
    sys.stdout.flush()
    os._exit(0)
