"""Spark with the jar that the wheel carries.

Takes one argument, a JSON file:

- `options`: of a table; `folder`: where Spark may leave files;
- `jars_by`: what gives the session another jar, `builder` or `defaults`;
- `result`: file that takes what was seen.
"""

import json
import os
import sys
import warnings
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
    builder = SparkSession.builder
    if spec["jars_by"] == "builder":
        builder = builder.config("spark.jars", str(other))
    else:
        defaults = (
            f"# Jars of this machine\nspark.jars = {other}\n spark.redaction.regex (?i)mine\n"
        )
        (folder / "spark-defaults.conf").write_text(defaults)
        os.environ["SPARK_CONF_DIR"] = str(folder)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        builder = lakeflow_connect.configure(builder)
        spark = session.start("lakeflow-classic", [], folder, builder=builder)
        lakeflow_connect.configure(SparkSession.builder)
    frame = streams.read(spark, spec["options"])
    jars = spark.sparkContext.getConf().get("spark.jars").split(",")
    result = {
        "jars": [Path(jar).name for jar in jars],
        "rows": values(frame, "id"),
        "plan": frame._jdf.queryExecution().toString(),
        "warned": [str(warning.message) for warning in warned if "jar" in str(warning.message)],
        "redacted": spark.sparkContext.getConf().get("spark.redaction.regex"),
    }
    Path(spec["result"]).write_text(json.dumps(result))
    spark.stop()


def late(spec: dict):
    """Configures a session whose JVM runs already, and writes down what it is told."""
    from pyspark.sql import SparkSession

    Path(spec["folder"]).mkdir()
    plain = session.start("lakeflow-late", [], Path(spec["folder"]))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        lakeflow_connect.configure(SparkSession.builder)
        os.environ["PYSPARK_SUBMIT_ARGS"] = "--jars other.jar pyspark-shell"
        lakeflow_connect.configure(SparkSession.builder)
    messages = [(str(w.message), w.filename) for w in warned if "jar" in str(w.message)]
    Path(spec["result"]).write_text(json.dumps(messages))
    plain.stop()


if __name__ == "__main__":
    _spec = json.loads(Path(sys.argv[1]).read_text())
    (main if "options" in _spec else late)(_spec)
