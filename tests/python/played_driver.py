"""Plays Spark's part of the Python data source: the calls that it makes, without a JVM.

Takes one argument, a JSON file:

- `changes`, `events`, `capped`: options of streams; `named`: of one by a connection; `refused`:
  name to options of streams that must fail;
- `result`: file that takes what was seen.
"""

import json
import pickle
import sys
from pathlib import Path

import pyspark
from lakeflow_connect.spark import LakeflowSource
from pyspark import cloudpickle
from pyspark.sql.types import StructType


def main(spec: dict):
    """Does everything and writes down what came."""
    schema = LakeflowSource(spec["events"]).schema()
    two = StructType([schema["created_at"], schema["event_id"]])
    other_case = StructType.fromJson(json.loads(two.json().replace("event_id", "Event_Id")))
    result = {
        "version": pyspark.__version__,
        "changes": drain(spec["changes"]),
        "given": drain(spec["events"], two),
        "misfit": failure(lambda: drain(spec["events"], other_case)),
        "refused": {n: failure(lambda o=o: drain(o)) for n, o in spec["refused"].items()},
        "places": places(spec["capped"]),
        "named": places(spec["named"])["rows"],
        "default": default_source("github", spec["named"]),
        "shown": shown(spec["events"], schema),
    }
    Path(spec["result"]).write_text(json.dumps(result, default=str))


def opened(options: dict, schema: StructType | None = None):
    """A stream reader of the process that plans a query, and the schema."""
    source = pickle.loads(cloudpickle.dumps(LakeflowSource(options)))
    schema = schema or source.schema()

    return source.streamReader(schema)


def drain(options: dict, schema: StructType | None = None) -> list[dict]:
    """All rows of a stream, each batch as tasks read it."""
    reader, rows = opened(options, schema), []
    at = reader.initialOffset()
    while (end := reader.latestOffset(at, None)) != at:
        rows += read(reader, at, end)
        reader.commit(end)
        at = end

    return rows


def read(reader, start: dict, end: dict) -> list[dict]:
    """Rows of a batch, as workers read them that get the reader and a partition each."""
    rows = []
    for partition in reader.partitions(start, end):
        worker = pickle.loads(cloudpickle.dumps((reader, partition)))
        rows += [row for batch in worker[0].read(worker[1]) for row in batch.to_pylist()]

    return rows


def places(options: dict) -> dict:
    """How a reader finds its place that is never told a start, as on PySpark 4.0 and 4.1."""
    reader = opened(options)
    first = reader.latestOffset()
    again = reader.latestOffset()
    rows = read(reader, reader.initialOffset(), first)
    second = reader.latestOffset()
    # After a restart Spark plans the empty batch at the last offset first.
    restarted = opened(options)
    nothing = read(restarted, first, first)
    third = restarted.latestOffset()

    return {
        "asked_twice_is_one": first == again,
        "rows": len(rows),
        "numbers": [first["seq"], second["seq"], third["seq"]],
        "nothing": nothing,
    }


def default_source(name: str, options: dict) -> list[str]:
    """Columns of a table of a session whose default is another source than the table's."""
    kind = type("LakeflowSource", (LakeflowSource,), {"default_source": name})

    return kind(options).schema().names


def shown(options: dict, schema: StructType) -> str:
    """What Spark may print of sources, readers and partitions."""
    source = LakeflowSource(options)
    batch, stream = source.reader(schema), source.streamReader(schema)
    end = stream.latestOffset({}, None)
    parts = [*batch.partitions(), *stream.partitions({}, end)]

    return " ".join(map(repr, [source, batch, stream, *parts]))


def failure(act) -> str:
    """What an act raises."""
    try:
        act()
    except Exception as error:
        return str(error)
    raise AssertionError("nothing was raised")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
