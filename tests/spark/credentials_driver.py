"""Reads by references and named connections, and collects all that can be seen of them.

Takes one argument, a JSON file:

- `jars`, `folder`: as for `support.session.start`;
- `simulator`: address of the simulator;
- `reads`: options by name, each of a table that can be streamed;
- `inline`: options by name whose credential stands in them;
- `events`, `streams`: folders for event logs, and for checkpoints and tables;
- `result`: file that takes `{"rows": {name: [in batch, in the stream]}, "shown": {place: text},
  "inline": {name: text}}`.

The log, at DEBUG, goes to the output.
"""

import json
import sys
import traceback
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support import session, streams  # noqa: E402
from support.simulator import Connection  # noqa: E402

_MODES = ("simple", "extended", "codegen", "cost", "formatted")
_PAGES = ("environment/", "SQL/", "StreamingQuery/", "jobs/", "stages/", "executors/")
_RESOURCES = ("environment", "jobs", "stages?details=true", "sql?details=true&planDescription=true")


def main(spec: dict):
    """Runs the reads and writes what they showed."""
    session.use_host_zone()
    settings = {
        "spark.ui.enabled": "true",
        "spark.ui.port": "0",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": Path(spec["events"]).as_uri(),
        "spark.eventLog.compress": "false",
        "spark.eventLog.logStageExecutorMetrics": "true",
    }
    jars = [Path(jar) for jar in spec["jars"]]
    spark = session.start("lakeflow-credentials", jars, Path(spec["folder"]), settings=settings)
    spark.sparkContext.setLogLevel("DEBUG")
    rows, shown = {}, {}
    for name, options in spec["reads"].items():
        rows[name] = [
            show_batch(spark, name, options, shown),
            show_stream(spark, name, options, Path(spec["streams"]) / name, shown),
        ]
    rows["catalog"] = [show_catalog(spark, spec["reads"]["connection"]["connection"], shown)]
    Connection(spec["simulator"]).fault(path="/*", every=1, kind={"status": {"code": 401}})
    for name, options in spec["reads"].items():
        shown[f"{name}: error"] = failure(spark, options)
        shown[f"{name}: answer"] = answer(spark, options)
    shown |= dict(pages(spark))
    inline = {
        name: plans(streams.load(spark, options), ["extended"])
        for name, options in spec["inline"].items()
    }
    spark.stop()
    result = {"rows": rows, "shown": shown, "inline": inline}
    Path(spec["result"]).write_text(json.dumps(result))


def show_batch(spark, name: str, options: dict, shown: dict) -> int:
    """Reads in batch, by the reader and from SQL."""
    frame = streams.read(spark, options)
    shown[f"{name}: plans"] = plans(frame, _MODES)
    shown[f"{name}: json"] = frame._jdf.queryExecution().analyzed().toJSON()
    text = ", ".join(f"`{key}` '{value}'" for key, value in options.items())
    spark.sql(f"CREATE TEMPORARY VIEW {name} USING lakeflow_connect OPTIONS ({text})")
    view = spark.table(name)
    shown[f"{name}: view"] = plans(view, _MODES)
    described = spark.sql(f"DESCRIBE EXTENDED {name}").collect()
    shown[f"{name}: description"] = "\n".join(map(str, described))
    assert view.count() == frame.count()

    return frame.count()


def show_stream(spark, name: str, options: dict, folder: Path, shown: dict) -> int:
    """Drains a stream, explained before it starts and while it runs."""
    frame = streams.load(spark, options)
    shown[f"{name}: stream"] = plans(frame, _MODES)

    def act(batch, number):
        batch.write.mode("append").parquet(str(folder / "table"))
        for path in streams.Checkpoint(folder / "checkpoint").slices():
            shown[f"{name}: slice {number}"] = path.read_bytes().decode("latin-1")

    run = streams.drain_each(frame, folder / "checkpoint", act)
    shown[f"{name}: progress"] = json.dumps(run.progress)

    return run.rows


def show_catalog(spark, connection: str, shown: dict) -> int:
    """Reads a table of a catalog that names a connection."""
    spark.conf.set("spark.sql.catalog.shop", "lakeflow.connect.spark.LakeflowCatalog")
    spark.conf.set("spark.sql.catalog.shop.connection", connection)
    frame = spark.table("shop.default.orders")
    shown["catalog: plans"] = plans(frame, _MODES)
    described = spark.sql("DESCRIBE EXTENDED shop.default.orders").collect()
    shown["catalog: description"] = "\n".join(map(str, described))

    return frame.count()


def plans(frame, modes) -> str:
    """The plan as `EXPLAIN` shows it in each mode."""
    utils = frame.sparkSession._jvm.org.apache.spark.sql.api.python.PythonSQLUtils
    execution = frame._jdf.queryExecution()

    return "\n".join(utils.explainString(execution, mode) for mode in modes)


def pages(spark):
    """Pages of the UI and answers of its REST API, by path."""
    url = spark.sparkContext.uiWebUrl
    application = f"api/v1/applications/{spark.sparkContext.applicationId}"
    paths = [*_PAGES, *(f"{application}/{resource}" for resource in _RESOURCES)]
    executions = json.loads(fetch(f"{url}/{application}/sql?length=1000"))
    paths += [f"SQL/execution/?id={execution['id']}" for execution in executions]
    for path in paths:
        yield path, fetch(f"{url}/{path}")


def fetch(url: str) -> str:
    """The body at `url`."""
    with urllib.request.urlopen(url, timeout=60) as response:
        return response.read().decode()


def failure(spark, options: dict) -> str:
    """What a read fails with: the traceback, and the causes in Java."""
    try:
        streams.read(spark, options).collect()
    except Exception as error:
        return f"{traceback.format_exc()}\n{error!r}\n{getattr(error, '_origin', '')}"
    raise AssertionError("the read did not fail")


def answer(spark, options: dict) -> str:
    """What an agent is told that asks whether the connection works."""
    path = {name: value for name, value in options.items() if name != "tableName"}
    asked = streams.read(spark, path | {"operation": "validate_connection"})

    return "\n".join(asked.toJSON().collect())


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
