"""A Spark Connect client that brings a table up to date by a specification.

Takes one argument, a JSON file:

- `server`: address of the server, `sc://host:port`;
- `pipeline`: the specification; `checkpoints`: its folder, on the server;
- `simulator`, `later`: where the service is, and the records of its orders for the second run;
- `result`: file that takes `{"runs": [rows of each], "rows": [[key, begin, end, status]]}`.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import lakeflow_connect  # noqa: E402
from support.simulator import Connection  # noqa: E402


def main(spec: dict):
    """Ingests twice and writes down what the table holds."""
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.remote(spec["server"]).getOrCreate()
    runs = []
    for records in (None, spec["later"]):
        if records is not None:
            Connection(spec["simulator"]).set_records("example", "orders", records)
        (written,) = lakeflow_connect.ingest(
            spark, spec["pipeline"], checkpoints=spec["checkpoints"]
        )
        runs.append(written.rows)
    columns = ("order_id", "CAST(__START_AT AS DATE)", "CAST(__END_AT AS DATE)", "status")
    rows = spark.table("orders").selectExpr(*columns).collect()
    result = {"runs": runs, "rows": sorted([str(value) for value in row] for row in rows)}
    Path(spec["result"]).write_text(json.dumps(result))
    spark.stop()


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
