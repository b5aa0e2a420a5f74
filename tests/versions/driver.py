"""One session of one Spark version: every kind of read, and a stream that died before.

Takes one argument, a JSON file:

- `jars`, `folder`: as for `support.session.start`;
- `batches`: name to options, read as tables;
- `catalog`: options of a catalog, and `table`, the one of its tables that is read;
- `streams`: name to options, run with AvailableNow into parquet, twice;
- `triggers`: options of a stream that is run under each other trigger;
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
    result["catalog"] = read_catalog(spark, **spec["catalog"])
    result["triggers"] = {
        name: run_under(trigger, streams.load(spark, spec["triggers"]), folder / name)
        for name, trigger in {
            "once": {"once": True},
            "every": {"processingTime": "1 second"},
        }.items()
    }
    died = spec["died"]
    frame = streams.load(spark, died["options"])
    streams.drain(frame, Path(died["table"]), Path(died["checkpoint"]), format="parquet")
    result["died"] = values(spark.read.parquet(died["table"]), frame.columns[0])
    Path(spec["result"]).write_text(json.dumps(result))
    spark.stop()


def read_catalog(spark, table: str, **options) -> list[dict]:
    """Rows of a table of a catalog."""
    spark.conf.set("spark.sql.catalog.src", "lakeflow.connect.spark.LakeflowCatalog")
    for name, value in options.items():
        spark.conf.set(f"spark.sql.catalog.src.{name}", value)
    assert spark.sql("SHOW TABLES IN src.default").count() > 1
    frame = spark.sql(f"SELECT * FROM src.default.{table}")

    return values(frame, frame.columns[0])


def run_under(trigger: dict, frame, folder: Path) -> list[dict]:
    """Rows of a stream under a trigger, once it has caught up."""
    writer = frame.writeStream.format("parquet").outputMode("append").trigger(**trigger)
    writer = writer.option("checkpointLocation", str(folder / "checkpoint"))
    query = writer.start(str(folder / "table"))
    query.processAllAvailable()
    query.stop()

    return values(frame.sparkSession.read.parquet(str(folder / "table")), frame.columns[0])


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
