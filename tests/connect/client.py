"""A Spark Connect client, without a JVM: reads through a server that has the jar, or the wheel.

Takes one argument, a JSON file:

- `server`: address of the server, `sc://host:port`;
- `register`: name of the source to register, `null` for none;
- `reads`: options by name;
- `stream`: options of a stream that is drained twice, below `folder`;
- `mistake`: options of a read that must fail;
- `result`: file that takes `{"rows": {name: rows}, "runs": [rows of each], "error": text}`.
"""

import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.rows import values  # noqa: E402
from support.streams import drain, load, read  # noqa: E402


def main(spec: dict):
    """Reads and writes down what came."""
    from pyspark.sql import SparkSession

    assert shutil.which("java") is None, "a client needs no Java"
    spark = SparkSession.builder.remote(spec["server"]).getOrCreate()
    if spec["register"]:
        import lakeflow_connect

        lakeflow_connect.register(spark, spec["register"])
    frames = {name: read(spark, options) for name, options in spec["reads"].items()}
    folder = Path(spec["folder"])
    table, checkpoint = folder / "table", folder / "checkpoint"
    runs = [
        drain(load(spark, spec["stream"]), table, checkpoint, format="parquet").rows
        for _ in range(2)
    ]
    frames["stream"] = spark.read.parquet(str(table))
    result = {
        "rows": {name: values(frame, frame.columns[0]) for name, frame in frames.items()},
        "runs": runs,
        "error": failure(read(spark, spec["mistake"])),
    }
    Path(spec["result"]).write_text(json.dumps(result))
    spark.stop()


def failure(frame) -> str:
    """What a read fails with."""
    try:
        frame.collect()
    except Exception as error:
        return str(error)
    raise AssertionError("the read did not fail")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
