"""One session with the testing jar under `-Xcheck:jni`; what it saw goes to a file as JSON.

Takes one argument, a JSON file: `jars`, `folder`, `good` (options of a source that works),
`cases_file` (the coercion table) and `result`.
"""

import json
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support import session, streams  # noqa: E402
from support.rows import texts  # noqa: E402


def main(spec: dict):
    """Runs every scenario in turn; a scenario that fails is a result too."""
    session.use_host_zone()
    folder = Path(spec["folder"])
    jars = [Path(jar) for jar in spec["jars"]]
    spark = session.start("lakeflow-testing", jars, folder, java_options="-Xcheck:jni")
    result = {"before": count(spark, spec["good"])}
    result |= {"panic": panic(spark), "after_panic": count(spark, spec["good"])}
    result |= {"stale": stale_handle(spark), "after_stale": count(spark, spec["good"])}
    result |= {"cancelled": cancelled(spark), "after_cancelled": count(spark, spec["good"])}
    result |= {"stopped": stopped(spark, folder), "after_stopped": count(spark, spec["good"])}
    result |= {"few": len(streams.read(spark, misbehaving("endless")).take(5))}
    result["journal"] = journal(spark, folder)
    result["namespaces"] = namespaces(spark)
    result["open_handles"] = open_handles(spark)
    result["coercion"] = coercion(spark, spec["cases_file"])
    Path(spec["result"]).write_text(json.dumps(result))
    spark.stop()


def misbehaving(source: str) -> dict:
    """Options of a source that misbehaves on purpose."""
    return {"sourceName": source, "tableName": "items"}


def count(spark, options: dict) -> int:
    """Rows of a source that works."""
    return streams.read(spark, options).count()


def panic(spark) -> str:
    """The error of a query whose native side panics inside a task."""
    try:
        streams.read(spark, misbehaving("panicking")).collect()
    except Exception as error:
        return str(error)

    return "no error"


def bridge(spark, name: str, *types):
    """A static method of the bridge, made callable."""
    jvm = spark.sparkContext._gateway.jvm
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    found = loader.loadClass("lakeflow.connect.bridge.NativeBridge")
    array = spark.sparkContext._gateway.new_array(jvm.java.lang.Class, len(types))
    for index, kind in enumerate(types):
        array[index] = kind
    method = found.getDeclaredMethod(name, array)
    method.setAccessible(True)

    return method


def invoke(spark, method, *arguments):
    """Calls a static method."""
    gateway = spark.sparkContext._gateway
    array = gateway.new_array(gateway.jvm.java.lang.Object, len(arguments))
    for index, argument in enumerate(arguments):
        array[index] = argument

    return method.invoke(None, array)


def stale_handle(spark) -> str:
    """The error of a read from a handle that was never given out."""
    jvm = spark.sparkContext._gateway.jvm
    method = bridge(spark, "next", jvm.java.lang.Long.TYPE, jvm.java.lang.Integer.TYPE)
    try:
        invoke(spark, method, jvm.java.lang.Long.valueOf("987654321"), 10)
    except Exception as error:
        return str(error)

    return "no error"


def open_handles(spark) -> int:
    """Native handles that are open now."""
    jvm = spark.sparkContext._gateway.jvm
    request = b'{"op":"open_handles"}'
    method = bridge(spark, "call", jvm.java.lang.Class.forName("[B"))

    def ask() -> int:
        return json.loads(bytes(invoke(spark, method, request)).decode())["open_handles"]

    end = time.monotonic() + 10
    while ask() > 0 and time.monotonic() < end:
        time.sleep(0.01)

    return ask()


def cancelled(spark) -> dict:
    """A read that never ends, cancelled while its task waits for the native side."""
    outcome = {}

    def job():
        spark.sparkContext.setJobGroup("endless", "a read without an end", True)
        try:
            streams.read(spark, misbehaving("blocking")).collect()
        except Exception as error:
            outcome["error"] = str(error)[:2000]

    from pyspark import InheritableThread

    thread = InheritableThread(target=job)
    thread.start()
    wait_for_task(spark)
    begun = time.monotonic()
    spark.sparkContext.cancelJobGroup("endless")
    thread.join(30)
    outcome["seconds"] = time.monotonic() - begun
    outcome["alive"] = thread.is_alive()

    return outcome


def wait_for_task(spark):
    """Waits until a task runs."""
    tracker = spark.sparkContext.statusTracker()
    end = time.monotonic() + 30
    while time.monotonic() < end:
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        if any(stage and stage.numActiveTasks for stage in stages):
            return
        time.sleep(0.01)
    raise AssertionError("no task ran")


def stopped(spark, folder: Path) -> dict:
    """A stream that waits for its source, stopped."""
    frame = streams.load(spark, misbehaving("blocking"))
    writer = frame.writeStream.format("noop").option("checkpointLocation", str(folder / "blocked"))
    query = writer.trigger(availableNow=True).start()
    end = time.monotonic() + 30
    while "offset" not in query.status["message"] and time.monotonic() < end:
        time.sleep(0.01)
    begun = time.monotonic()
    query.stop()
    error = query.exception()

    return {"seconds": time.monotonic() - begun, "error": error and str(error)}


def journal(spark, folder: Path) -> list[dict]:
    """Runs of one stream over a feed that keeps no past: two, more lines, two again."""
    file = folder / "journal.txt"
    file.write_text("old\nolder\n")
    options = {"sourceName": "journal", "tableName": "changes", "file": str(file)}
    runs = [journal_run(spark, options, folder) for _ in range(2)]
    with file.open("a") as lines:
        lines.write("new\nnewer\n")

    return runs + [journal_run(spark, options, folder) for _ in range(2)]


def journal_run(spark, options: dict, folder: Path) -> dict:
    """Drains the journal; what the table holds then, and what the checkpoint says."""
    table, checkpoint = folder / "journal", folder / "journal-checkpoint"
    streams.drain(streams.load(spark, options), table, checkpoint, format="parquet")
    rows = spark.read.schema("line BIGINT, text STRING").parquet(str(table)).sort("line")
    kept = streams.Checkpoint(checkpoint)

    return {
        "rows": [list(row) for row in rows.collect()],
        "logged": kept.logged(),
        "committed": kept.committed(),
        "slices": len(kept.slices()),
    }


def namespaces(spark) -> dict:
    """A source with namespaces: as virtual tables, by operations, and as the catalog `tree`."""
    connection = {"sourceName": "tree", "key": "right"}

    def rows(**options) -> list:
        return asked(streams.read(spark, connection | options))

    def sql(statement: str) -> list:
        try:
            return asked(spark.sql(statement))
        except Exception as error:
            return [re.sub(r"\s+", " ", str(error))[:500]]

    tables = "_community_tables"
    billing = '["acme","billing"]'
    spark.conf.set("spark.sql.catalog.tree", "lakeflow.connect.spark.LakeflowCatalog")
    spark.conf.set("spark.sql.catalog.tree.sourceName", "tree")
    spark.conf.set("spark.sql.catalog.tree.key", "env:LAKEFLOW_TEST_TOKEN")

    return {
        "roots": rows(tableName="_community_namespaces"),
        "children": rows(tableName="_community_namespaces", namespacePrefix='["acme"]'),
        "root_tables": rows(tableName=tables, namespace="[]"),
        "tables": rows(tableName=tables, namespace=billing),
        "no_tables": rows(tableName=tables, namespace='["x"]'),
        "objects": rows(operation="list_objects", path="acme"),
        "height": rows(operation="tree.height", unit="levels"),
        "sql": {statement: sql(statement) for statement in _TREE_STATEMENTS},
    }


#: What is asked of the catalog `tree`, in this order.
_TREE_STATEMENTS = [
    "SHOW NAMESPACES IN tree",
    "SHOW NAMESPACES IN tree.acme",
    "SHOW NAMESPACES IN tree.acme.billing",
    "SHOW NAMESPACES IN tree.nowhere",
    "SHOW TABLES IN tree",
    "SHOW TABLES IN tree.acme",
    "SHOW TABLES IN tree.acme.billing",
    "SHOW TABLES IN tree.default",
    "SELECT count(*), max(n) FROM tree.acme.billing.invoices",
    "SELECT count(*) FROM tree.root",
    "SELECT count(*) FROM tree.default.root",
    "SELECT count(*) FROM tree.acme.invoices",
]


def asked(frame) -> list:
    """Rows as lists of plain values."""
    return [
        json.loads(json.dumps(list(row.asDict(recursive=True).values()))) for row in frame.collect()
    ]


def coercion(spark, cases_file: str) -> dict:
    """Every table of the coercion source: its rows, or the error and what `null` makes of it."""
    shown = {}
    for table in coercion_tables(spark, cases_file):
        options = {"sourceName": "coercion", "cases_file": cases_file, "tableName": table}
        shown[table] = attempt(spark, options)
        if table.startswith("error_"):
            options |= {"onCoercionError": "null", "rescuedDataColumn": "_rescued"}
            shown[table]["with_null"] = attempt(spark, options)

    return shown


def coercion_tables(spark, cases_file: str) -> list[str]:
    """Names of the source's tables, from the error that lists them."""
    options = {"sourceName": "coercion", "cases_file": cases_file, "tableName": "none"}
    try:
        streams.read(spark, options)
    except Exception as error:
        return re.search(r"the source has: ([a-z0-9_, ]+)", str(error))[1].strip().split(", ")
    raise AssertionError("a table called 'none' was found")


def attempt(spark, options: dict) -> dict:
    """The schema and the rows as JSON text, or the error."""
    try:
        frame = streams.read(spark, options)
        return {"schema": frame.schema.jsonValue(), "rows": texts(frame)}
    except Exception as error:
        return {"error": str(error)[:2000]}


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
