"""One session of one Spark version: every kind of read, and a stream that died before.

Takes one argument, a JSON file:

- `jars`, `folder`: as for `support.session.start`;
- `batches`: name to options, read as tables;
- `streams`: name to options, run with AvailableNow into parquet, twice;
- `died`: `options`, `table` and `checkpoint` of a stream whose driver died;
- `result`: file that takes what was seen.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support import session, streams  # noqa: E402
from support.rows import values  # noqa: E402


def main(spec: dict):
    """Reads everything and writes down what came."""
    session.use_host_zone()
    folder = Path(spec["folder"])
    spark = session.start("lakeflow-versions", [Path(jar) for jar in spec["jars"]], folder)
    result = {"version": spark.version, "batches": {}, "streams": {}}
    for name, options in spec["batches"].items():
        frame = streams.read(spark, options)
        first = frame.columns[0]
        result["batches"][name] = {
            "rows": values(frame, first),
            "count": frame.count(),
            "column": sorted(row[0] for row in frame.select(first).collect()),
        }
    for name, options in spec["streams"].items():
        frame = streams.load(spark, options)
        table, checkpoint = folder / f"{name}-table", folder / f"{name}-checkpoint"
        run = streams.drain(frame, table, checkpoint, format="parquet")
        again = streams.drain(streams.load(spark, options), table, checkpoint, format="parquet")
        result["streams"][name] = {
            "rows": values(spark.read.parquet(str(table)), frame.columns[0]),
            "batches": run.batches,
            "again": again.batches,
        }
    died = spec["died"]
    frame = streams.load(spark, died["options"])
    streams.drain(frame, Path(died["table"]), Path(died["checkpoint"]), format="parquet")
    result["died"] = values(spark.read.parquet(died["table"]), frame.columns[0])
    Path(spec["result"]).write_text(json.dumps(result))
    spark.stop()


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
