"""One session of Spark through one door; whichever it is, the steps are the same.

Takes one argument, a JSON file:

- `jars`, `folder`: as for `support.session.start`; without jars the Python data source serves;
- `register`: name of a source to register, or null;
- `batches`: name to options, read as tables; `mistakes`: name to options, reads that must fail;
- `filtered`: `options` and `condition` of a read with filters pushed down, or null;
- `given`: name to options and `schema`, read with a schema;
- `streams`: list of `name`, `options`, `table`, `checkpoint`: each is run with AvailableNow until a
  run finds nothing, or `runs` times;
- `refused`: name to options of streams that must fail;
- `dies`: `options`, `table`, `checkpoint` of a stream whose JVM is killed in batch `batch`, after
  its rows are in the table and before Spark notes it; or null;
- `result`: file that takes what was seen.
"""

import json
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support import session, streams  # noqa: E402
from support.rows import values  # noqa: E402

#: More runs than any stream of these tests needs.
_MOST_RUNS = 12


def main(spec: dict):
    """Does all that is asked for and writes down what came."""
    session.use_host_zone()
    folder = Path(spec["folder"])
    spark = session.start("lakeflow-python", [Path(jar) for jar in spec["jars"]], folder, cores=2)
    if spec.get("register"):
        import lakeflow_connect

        lakeflow_connect.register(spark, spec["register"])
    result = {
        "version": spark.version,
        "batches": {n: _batch(spark, o) for n, o in spec.get("batches", {}).items()},
        "mistakes": {n: _failure(spark, o) for n, o in spec.get("mistakes", {}).items()},
        "filtered": spec.get("filtered") and _filtered(spark, **spec["filtered"]),
        "given": {n: _given(spark, **g) for n, g in spec.get("given", {}).items()},
        "streams": {s["name"]: _stream(spark, s) for s in spec.get("streams", [])},
        "refused": {n: _refusal(spark, o, folder) for n, o in spec.get("refused", {}).items()},
        "jvm_exit": None,
    }
    if spec.get("dies"):
        result["jvm_exit"] = _die(spark, **spec["dies"])
    else:
        spark.stop()
    Path(spec["result"]).write_text(json.dumps(result))
    sys.stdout.flush()
    os._exit(0)


def _batch(spark, options: dict) -> list[dict]:
    frame = streams.read(spark, options)

    return values(frame, frame.columns[0])


def _filtered(spark, options: dict, condition: str) -> list[dict]:
    spark.conf.set("spark.sql.python.filterPushdown.enabled", "true")
    frame = streams.read(spark, options).where(condition)
    rows = values(frame, frame.columns[0])
    spark.conf.unset("spark.sql.python.filterPushdown.enabled")

    return rows


def _given(spark, options: dict, schema: str) -> list[dict]:
    reader = spark.read.format("lakeflow_connect").options(**options).schema(schema)
    frame = reader.load()

    return values(frame, frame.columns[0])


def _failure(spark, options: dict) -> str:
    try:
        streams.read(spark, options).collect()
    except Exception as error:
        return str(error)
    raise AssertionError("the read did not fail")


def _refusal(spark, options: dict, folder: Path) -> str:
    try:
        frame = streams.load(spark, options)
        streams.drain_each(frame, folder / "refused", lambda *_: None)
    except Exception as error:
        return str(error)
    raise AssertionError("the stream did not fail")


def _stream(spark, stream: dict) -> dict:
    table, checkpoint = Path(stream["table"]), Path(stream["checkpoint"])
    runs = []
    for _ in range(stream.get("runs", _MOST_RUNS)):
        frame = streams.load(spark, stream["options"])
        run = streams.drain_each(frame, checkpoint, lambda f, batch: _write(f, batch, table))
        runs.append(run.batches)
        if not run.batches:
            break
    read = spark.read.option("recursiveFileLookup", "true").parquet(str(table))

    return {"runs": runs, "rows": values(read, read.columns[0])}


def _write(frame, batch: int, table: Path):
    """Writes a micro-batch so that a repetition of it takes its place."""
    frame.write.mode("overwrite").parquet(str(table / f"batch-{batch}"))


def _die(spark, options: dict, table: str, checkpoint: str, batch: int) -> int:
    jvm = spark.sparkContext._gateway.proc
    process = spark.sparkContext._gateway.jvm.java.lang.ProcessHandle.current().pid()

    def act(frame, number: int):
        _write(frame, number, Path(table))
        if number == batch:
            os.kill(process, signal.SIGKILL)

    try:
        while True:
            run = streams.drain_each(streams.load(spark, options), Path(checkpoint), act)
            assert run.batches, "the stream came to its own end"
    except AssertionError:
        raise
    except Exception as error:
        print(f"the driver lost its JVM: {type(error).__name__}", file=sys.stderr)

    return jvm.wait(timeout=60)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
