"""Spark with the jar that the wheel carries.

Takes one argument, a JSON file:

- `options`: of a table; `folder`: where Spark may leave files;
- `result`: file that takes what was seen.
"""

import json
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import lakeflow_connect  # noqa: E402
from support import session, streams  # noqa: E402
from support.rows import values  # noqa: E402


def main(spec: dict):
    """Reads a table and writes down what came, and through which door."""
    from pyspark.sql import SparkSession

    folder = Path(spec["folder"])
    other = folder / "other.jar"
    folder.mkdir()
    zipfile.ZipFile(other, "w").close()
    session.use_host_zone()
    builder = SparkSession.builder.config("spark.jars", str(other))
    spark = session.start(
        "lakeflow-classic", [], folder, builder=lakeflow_connect.configure(builder)
    )
    frame = streams.read(spark, spec["options"])
    jars = spark.sparkContext.getConf().get("spark.jars").split(",")
    result = {
        "jars": [Path(jar).name for jar in jars],
        "rows": values(frame, "id"),
        "plan": frame._jdf.queryExecution().toString(),
        "redacted": spark.sparkContext.getConf().get("spark.redaction.regex"),
    }
    Path(spec["result"]).write_text(json.dumps(result))
    spark.stop()


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
