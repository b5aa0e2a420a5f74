"""Reads without Spark, in an environment with pyarrow, polars, DuckDB and pandas.

Takes one argument, a JSON file:

- `options`: of a small table; `many`: of a large one; `silent`: of a service that never answers;
- `result`: file that takes what was seen.
"""

import inspect
import json
import os
import pickle
import signal
import sys
import threading
import time
import zipfile
from pathlib import Path

import duckdb
import lakeflow_connect
import polars
import pyarrow

#: Time after which a read that waits is interrupted, in seconds.
_PATIENCE = 0.5


def main(spec: dict):
    """Does everything and writes down what came."""
    source, issues = opened(spec["options"])
    table = issues
    read = {
        "to_arrow": rows(table.to_arrow()),
        "batches": rows(pyarrow.table(table.to_arrow().schema.empty_table()), table),
        "stream": rows(pyarrow.RecordBatchReader.from_stream(table).read_all()),
        "polars": rows(polars.DataFrame(table).to_arrow()),
        "duckdb": rows(duckdb.sql("SELECT * FROM issues").to_arrow_table()),
        "pandas": sorted(table.to_pandas()[["id", "title"]].values.tolist()),
    }
    chosen = table.select("title", "number").limit(2).to_arrow()
    described = source.describe("issues")
    names = ("ingestion_type", "primary_keys", "cursor_field", "streamable")
    table_error = failure(lambda: source.read("nope").to_arrow())
    result = {
        "read": read,
        "chosen": {"columns": chosen.column_names, "rows": chosen.num_rows},
        "told": {
            "source": repr(source),
            "table": repr(table),
            "tables": source.tables(),
            "schema": pyarrow.schema(source.schema("issues")).names,
            "chosen": pyarrow.schema(table.select("title", "id")).names,
            "any_case": any_case(spec["options"]),
            "whole": pyarrow.schema(table).equals(table.to_arrow().schema),
            "of_silent": pyarrow.schema(opened(spec["silent"])[1]).names[:1],
            "described": [described[name] for name in names],
        },
        "first": first_batch(spec["many"]),
        "interrupted": interrupted(spec["silent"]),
        "interrupted_after": interrupted_after_some(spec["many"]),
        "other_schema": other_schema(table),
        "limits": [
            table.limit(n).limit(m).to_arrow().num_rows for n, m in ((2, 3), (3, 1), (0, 5))
        ],
        "listed": table.select(["title", "id"]).to_arrow().column_names,
        "errors": {
            "option": told(failure(lambda: opened(spec["options"] | {"per_pag": 7})[1].to_arrow())),
            "source": told(failure(lambda: lakeflow_connect.open("nope"))),
            "table": told(table_error),
            "stream": told(
                failure(lambda: pyarrow.schema(opened(spec["options"] | {"per_page": "x"})[1]))
            )[:3],
            "column": told(failure(lambda: pyarrow.schema(table.select("title", "nope"))))[1:],
            "column_read": told(failure(lambda: table.select("title", "nope").to_arrow()))[1:],
        },
        "mistakes": {
            "unnamed": told(failure(lakeflow_connect.open))[3],
            "misnamed": told(failure(lambda: lakeflow_connect.open(source="github")))[3],
            "table_by_name": told(failure(lambda: source.read(table="issues")))[3],
            "half": told(failure(lambda: source.read("issues", owner="a\ud800")))[3],
            "no_columns": told(failure(table.select))[3],
            "column_twice": told(failure(lambda: table.select("id", "id")))[3],
            "column_kind": told(failure(lambda: table.select(["id", 7])))[3],
            "limit_kind": [
                told(failure(lambda n=n: table.limit(n)))[3] for n in (-1, "5", True, 1.5)
            ],
        },
        "names": names_without_spark(),
        "pickled": told(pickle.loads(pickle.dumps(table_error))),
        "loaded": sorted(name for name in sys.modules if name.split(".")[0] in ("pyspark", "py4j")),
        "jar": jar(),
        "forked": forked(table),
    }
    Path(spec["result"]).write_text(json.dumps(result))


def opened(options: dict):
    """The source that options name, and the table."""
    more = dict(options)
    source = lakeflow_connect.open(
        more.pop("sourceName"), token=more.pop("token"), base_url=more.pop("base_url")
    )

    return source, source.read(more.pop("tableName"), **more)


def any_case(options: dict) -> int:
    """Rows of a table whose options are spelled in other case, the last of each counting."""
    given = {name.upper(): value for name, value in options.items() if name != "tableName"}
    source = lakeflow_connect.open(**(given | {"OWNER": "nobody"}))

    return source.read(options["tableName"], owner=options["owner"]).to_arrow().num_rows


def rows(table, read=None) -> list[dict]:
    """Rows as golden files show them, by id; of `read`, batch by batch, if it is given."""
    if read is not None:
        batches = map(pyarrow.record_batch, read.batches())
        table = pyarrow.Table.from_batches(batches, table.schema)
    # Maps come as pairs.
    maps = [field.name for field in table.schema if pyarrow.types.is_map(field.type)]
    found = table.to_pylist()
    for row in found:
        row |= {name: row[name] and dict(row[name]) for name in maps}

    return sorted(found, key=lambda row: row["id"])


def first_batch(options: dict) -> int:
    """Rows of the first batch of a table that is not read on."""
    batches = opened(options)[1].batches()

    return next(batches).num_rows


def interrupted(options: dict) -> dict[str, str]:
    """What reads of a silent service raise when the user presses Ctrl-C."""
    source, table = opened(options)
    reads = {
        "direct": table.to_arrow,
        "stream": lambda: pyarrow.RecordBatchReader.from_stream(table).read_all(),
        "batches": lambda: next(table.batches()),
    }

    return {name: interrupt(read) for name, read in reads.items()}


def interrupted_after_some(options: dict) -> int:
    """Rows of a large table that come although Ctrl-C was pressed when the first of them had."""
    read, begun = opened(options)[1]._begin(), threading.Event()

    def counted() -> int:
        return json.loads(read.metrics())["records"]

    def press():
        begun.wait()
        while not counted():
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    try:
        begun.set()
        # Runs no Python between the batches.
        list(map(pyarrow.record_batch, read))
    except KeyboardInterrupt:
        presser.join()
        return counted()
    raise AssertionError("nothing was raised")


def names_without_spark() -> dict:
    """What the package shows where there is no PySpark."""
    starred = {}
    exec("from lakeflow_connect import *", starred)
    members = dict(inspect.getmembers(lakeflow_connect))
    try:
        refused = f"none: {lakeflow_connect.register}"
    except ImportError as error:
        refused = str(error)

    return {
        "starred": sorted(starred.keys() - {"__builtins__"}),
        "members": sorted(members),
        "refused": refused,
    }


def other_schema(table) -> list:
    """What comes where a reader asks for types that the values do not fit."""
    wanted = pyarrow.schema([("id", pyarrow.int8())])
    reader = pyarrow.RecordBatchReader.from_stream(table.select("id"), schema=wanted)
    try:
        found = reader.read_all()
    except pyarrow.ArrowInvalid as error:
        return ["refused", str(error)]

    return [str(found.schema.field("id").type), found.column("id").null_count]


def interrupt(read) -> str:
    """Interrupts a read from another thread, which can only run while the read lets it."""
    timer = threading.Timer(_PATIENCE, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    try:
        read()
    except BaseException as raised:
        kind = type(raised).__name__
    else:
        kind = "nothing"
    timer.join()

    return kind


def failure(act) -> Exception:
    """What an act raises."""
    try:
        act()
    except lakeflow_connect.LakeflowError as error:
        return error
    raise AssertionError("nothing was raised")


def told(error) -> list[str]:
    """Class, code, retry and text of an error."""
    return [type(error).__name__, error.code, error.retry, str(error)]


def jar() -> list:
    """The provider's class, and whether the jar has it."""
    name = "lakeflow/connect/spark/LakeflowTableProvider.class"
    with zipfile.ZipFile(lakeflow_connect.jar()) as archive:
        return [name, name in archive.namelist()]


def forked(table) -> str:
    """What a process says that was forked from this one."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writes, str(failure(table.to_arrow)).encode())
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as pipe:
        text = pipe.read().decode()
    os.waitpid(child, 0)

    return text


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
