"""A Spark Connect client, without a JVM: reads in batch through a server that has the jar.

Takes one argument, a JSON file:

- `server`: address of the server, `sc://host:port`;
- `reads`: options by name;
- `mistake`: options of a read that must fail;
- `result`: file that takes `{"version": text, "rows": {name: rows}, "error": text}`.
"""

import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.rows import values  # noqa: E402
from support.streams import read  # noqa: E402


def main(spec: dict):
    """Reads and writes down what came."""
    from pyspark.sql import SparkSession

    assert shutil.which("java") is None, "a client needs no Java"
    spark = SparkSession.builder.remote(spec["server"]).getOrCreate()
    frames = {name: read(spark, options) for name, options in spec["reads"].items()}
    result = {
        "version": spark.version,
        "rows": {name: values(frame, frame.columns[0]) for name, frame in frames.items()},
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
