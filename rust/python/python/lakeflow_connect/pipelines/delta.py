"""The back end for Spark with Delta Lake, which does everything by itself.

One table after the other; a table that fails does not keep others from being written. A run that
died anywhere is made whole by the next one: every step gives the same result when it comes again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ..errors import config_invalid, of
from . import merges
from .counts import StreamCounts
from .merges import DELETED, END, SEQUENCE, START, Change, path
from .plan import Ingestion, PlannedTable, quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming import DataStreamWriter
    from pyspark.sql.types import DataType, StructType

_FORMAT = "lakeflow_connect"

#: Begin of the names of properties that tell by what rows are told apart and ordered.
_PROPERTY = "lakeflow_connect."


@dataclass(frozen=True)
class Written:
    """What a run did with one table.

    Attributes:
        table: the destination as SQL writes it.
        rows: rows that the source gave; changes, for tables that are read by them.
        error: what kept it from being written as a whole; `None` if nothing did.
    """

    table: str
    rows: int
    error: Exception | None = None


class DeltaBackend:
    """Writes planned tables with plain Spark and Delta Lake.

    Args:
        spark: a session with Delta's catalog.
        checkpoints: folder for what a table must remember between runs; its own for each pipeline.
    """

    def __init__(self, spark: SparkSession, checkpoints: str):
        self._spark = spark
        self._checkpoints = checkpoints.rstrip("/")

    def run(self, tables: Sequence[PlannedTable]) -> list[Written]:
        """Reads what is new of each table and writes it."""
        results = []
        for table in tables:
            with StreamCounts() as counts:
                folder = f"{self._checkpoints}/{table.tag}"
                writer = _Writer(self._spark, table, folder, counts)
                try:
                    results.append(Written(table.name, writer.write()))
                except Exception as error:
                    results.append(Written(table.name, writer.rows, error))

        return results


class _Writer:
    """Writes one table."""

    def __init__(self, spark: SparkSession, table: PlannedTable, folder: str, counts: StreamCounts):
        self._spark = spark
        self._table = table
        self._folder = folder
        self._columns = table.columns
        self._change = Change(table.keys, table.sequence)
        self._counts = counts
        self.rows = 0

    def write(self) -> int:
        """Brings the table up to date; the number of rows that the source gave."""
        self._schema = self._read().schema
        columns = self._definition()
        self._create(self._table.name, columns, self._table.clustering)
        self._require_history()
        self._grow(columns)
        ways = {
            Ingestion.APPEND: self._append,
            Ingestion.SNAPSHOT: self._snapshot,
            Ingestion.CDC: self._changes,
            Ingestion.CDC_WITH_DELETES: self._changes,
        }
        ways[self._table.ingestion]()

        return self.rows

    # Tables.

    def _definition(self) -> list[tuple[str, DataType]]:
        """Names and types of the table's columns; none is declared not null, since a source may
        come to lack it."""
        types = {field.name: field.dataType for field in self._schema.fields}
        columns = [(name, types[name]) for name in self._columns]
        if self._table.scd == 2:
            kind = self._sequence_type()
            columns += [(START, kind), (END, kind)]

        return columns

    def _sequence_type(self) -> DataType:
        from pyspark.sql.types import TimestampType

        if self._table.ingestion is Ingestion.SNAPSHOT:
            return TimestampType()
        empty = self._change.marked(self._spark.createDataFrame([], self._schema))

        return empty.select(self._change.begin.alias("begin")).schema["begin"].dataType

    def _create(
        self, name: str, columns: Sequence[tuple[str, DataType]], clustering: Sequence[str] = ()
    ):
        """Makes a table unless there is one."""
        defined = ", ".join(f"{quoted(name)} {_sql(kind)}" for name, kind in columns)
        clustered = f" CLUSTER BY ({', '.join(map(path, clustering))})" if clustering else ""
        self._spark.sql(f"CREATE TABLE IF NOT EXISTS {name} ({defined}) USING delta{clustered}")

    def _grow(self, columns: Sequence[tuple[str, DataType]]):
        """Adds columns, and fields of columns, that the table lacks."""
        name = self._table.name
        existing = self._spark.table(name).schema
        _require_kind(name, existing.names, [column for column, _ in columns])
        added = list(_added(existing, columns))
        if added:
            text = ", ".join(f"{column} {_sql(kind)}" for column, kind in added)
            self._spark.sql(f"ALTER TABLE {name} ADD COLUMNS ({text})")

    def _require_history(self):
        """Refuses keys and an order that are not those of the rows that the table has."""
        given = {f"{_PROPERTY}keys": json.dumps(self._table.keys)} if self._table.keys else {}
        if self._table.scd == 2:
            given[f"{_PROPERTY}sequence"] = json.dumps(self._table.sequence)
        name = self._table.name
        found = {r.key: r.value for r in self._spark.sql(f"SHOW TBLPROPERTIES {name}").collect()}
        for key, value in given.items():
            if found.get(key, value) != value:
                what = key.removeprefix(_PROPERTY)
                raise config_invalid(
                    f"table {name} was written with {what} {found[key]}, now they are {value};"
                    " restore them, or name another destination"
                )
        missing = {key: value for key, value in given.items() if key not in found}
        if missing:
            text = ", ".join(f"{_text(key)} = {_text(value)}" for key, value in missing.items())
            self._spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ({text})")

    # Rows that never change.

    def _append(self):
        writer = self._stream({}).writeStream.format("delta").outputMode("append")
        self._finish(writer, lambda writer: writer.toTable(self._table.name))

    # Changes.

    def _changes(self):
        feed = self._table.ingestion is Ingestion.CDC_WITH_DELETES
        options = {"readChangeFeed": "true"} if feed else {}
        if feed:
            self._create(self._deletes, self._deletes_definition())
        writer = self._stream(options).writeStream.foreachBatch(self._merge_batch)
        self._finish(writer, lambda writer: writer.start())

    def _merge_batch(self, batch: DataFrame, _: int):
        # Read more than once below.
        found = merges.events(batch, self._columns, self._change).persist()
        try:
            if self._table.ingestion is Ingestion.CDC_WITH_DELETES:
                self._note_deletes(found)
            deletes = self._known_deletes(batch.sparkSession)
            if self._table.scd == 2:
                self._merge_history(found, deletes)
            else:
                self._merge_latest(found, deletes)
        finally:
            found.unpersist()

    def _merge_latest(self, found: DataFrame, deletes: DataFrame):
        change = self._change
        if self._table.ingestion is Ingestion.CDC_WITH_DELETES:
            found = merges.without_deleted(found, deletes, change)
        rows = merges.latest(found, change)
        younger = f"s.{SEQUENCE} >= {_struct('t', self._table.sequence)}"
        self._merge(
            rows,
            self._on(),
            f"""WHEN MATCHED AND s.{DELETED} AND {younger} THEN DELETE
            WHEN MATCHED AND {younger} THEN UPDATE SET {self._assignments(self._columns)}
            WHEN NOT MATCHED AND NOT s.{DELETED} THEN {_insert(self._columns)}""",
        )

    def _merge_history(self, found: DataFrame, deletes: DataFrame):
        existing = found.sparkSession.table(self._table.name)
        rows = merges.history(found, existing, deletes, self._columns, self._change)
        columns = [*self._columns, START, END]
        self._merge(
            rows,
            f"{self._on()} AND t.{START} <=> s.{START}",
            f"""WHEN MATCHED AND s.{DELETED} THEN DELETE
            WHEN MATCHED THEN UPDATE SET {self._assignments(columns)}
            WHEN NOT MATCHED AND NOT s.{DELETED} THEN {_insert(columns)}""",
        )

    # Deletes that are known: without them a row that comes late would rise again.

    @property
    def _deletes(self) -> str:
        *place, name = self._table.destination
        return ".".join(map(quoted, [*place, f"{name}__deletes"]))

    def _deletes_definition(self) -> list[tuple[str, DataType]]:
        empty = self._change.marked(self._spark.createDataFrame([], self._schema))
        marks = [*self._change.key_names, SEQUENCE]

        return [(name, empty.schema[name].dataType) for name in marks]

    def _known_deletes(self, spark: SparkSession) -> DataFrame:
        from pyspark.sql.types import StructField, StructType

        if self._table.ingestion is Ingestion.CDC_WITH_DELETES:
            return spark.table(self._deletes)
        marks = [StructField(name, kind) for name, kind in self._deletes_definition()]

        return spark.createDataFrame([], StructType(marks))

    def _note_deletes(self, found: DataFrame):
        marks = [*self._change.key_names, SEQUENCE]
        deletes = found.where(DELETED).select(*marks).distinct()
        same = self._change.same("t", "s") + f" AND t.{SEQUENCE} <=> s.{SEQUENCE}"
        insert = f"WHEN NOT MATCHED THEN {_insert(marks)}"
        self._merge(deletes, same, insert, target=self._deletes)

    # Snapshots.

    def _snapshot(self):
        """Compares the table with a snapshot that was read to its end first."""
        staged = f"{self._folder}/snapshot"
        frame = self._aligned(self._read())
        frame.write.mode("overwrite").parquet(staged)
        snapshot = self._spark.read.schema(frame.schema).parquet(staged)
        self.rows = snapshot.count()
        # A list that moves while it is read may show a row twice.
        found = merges.latest(merges.events(snapshot, self._columns, self._change), self._change)
        if self._table.scd == 2:
            self._merge_snapshot_history(found)
        else:
            self._merge_snapshot(found)

    def _merge_snapshot(self, found: DataFrame):
        content = found.select(*map(quoted, self._columns)).schema
        differs = f"NOT ({merges.unchanged('t', 's', content)})"
        self._merge(
            found,
            self._on(),
            f"""WHEN MATCHED AND {differs} THEN UPDATE SET {self._assignments(self._columns)}
            WHEN NOT MATCHED THEN {_insert(self._columns)}
            WHEN NOT MATCHED BY SOURCE THEN DELETE""",
        )

    def _merge_snapshot_history(self, found: DataFrame):
        from pyspark.sql import functions as f

        existing = self._spark.table(self._table.name)
        now = f.lit(datetime.now(timezone.utc))
        rows = merges.snapshot_history(found, existing, self._columns, self._change, now)
        self._merge(
            rows,
            f"{self._on()} AND s.{DELETED} AND t.{START} <=> s.{START}",
            f"""WHEN MATCHED THEN UPDATE SET t.{END} = s.{END}
            WHEN NOT MATCHED THEN {_insert([*self._columns, START, END])}""",
        )

    # Reads, streams and statements.

    def _read(self) -> DataFrame:
        return self._spark.read.format(_FORMAT).options(**self._table.options).load()

    def _stream(self, options: dict[str, str]) -> DataFrame:
        # The jar would find a place by itself; the Python data source is told of none.
        given = {name.lower() for name in self._table.options}
        if "slicestore" not in given and re.match("(file:)?/", self._folder):
            options = options | {"sliceStore": f"{self._folder}/slices"}
        options = self._table.options | options | self._counts.options

        return self._aligned(self._spark.readStream.format(_FORMAT).options(**options).load())

    def _aligned(self, frame: DataFrame) -> DataFrame:
        """The columns that are written, as the table has them, and the kind of a change."""
        from pyspark.sql import functions as f

        table = self._spark.table(self._table.name).schema
        types = {field.name.lower(): field.dataType for field in table.fields}
        columns = [
            merges.aligned(
                f.col(quoted(name)), self._schema[name].dataType, types[name.lower()]
            ).alias(name)
            for name in self._columns
        ]

        return frame.select(*columns, *(c for c in frame.columns if c == "_change_type"))

    def _finish(self, writer: DataStreamWriter, start: Callable):
        """Runs a stream until it has caught up."""
        location = f"{self._folder}/checkpoint"
        query = start(writer.option("checkpointLocation", location).trigger(availableNow=True))
        try:
            self._counts.follow(query, self._table.source)
        finally:
            self.rows = self._counts.rows

    def _merge(self, rows: DataFrame, on: str, actions: str, target: str | None = None):
        view = f"lakeflow_{self._table.tag}"
        rows.createOrReplaceTempView(view)
        target = target or self._table.name
        try:
            rows.sparkSession.sql(f"MERGE INTO {target} t USING {view} s ON {on} {actions}")
        finally:
            rows.sparkSession.catalog.dropTempView(view)

    def _on(self) -> str:
        pairs = zip(self._change.keys, self._change.key_names)

        return " AND ".join(f"t.{path(key)} <=> s.{name}" for key, name in pairs)

    @staticmethod
    def _assignments(columns: Iterable[str]) -> str:
        return ", ".join(f"t.{quoted(name)} = s.{quoted(name)}" for name in columns)


def _insert(columns: Iterable[str]) -> str:
    names = [quoted(name) for name in columns]
    values = ", ".join(f"s.{name}" for name in names)

    return f"INSERT ({', '.join(names)}) VALUES ({values})"


def _struct(alias: str, sequence: Sequence[str]) -> str:
    """A sequence as [`SEQUENCE`] holds it."""
    fields = (f"'_{number}', {alias}.{path(name)}" for number, name in enumerate(sequence))

    return f"named_struct({', '.join(fields)})"


def _sql(kind: DataType) -> str:
    """A type as SQL writes it; the short form leaves quotes of fields out."""
    from pyspark.sql.types import ArrayType, MapType, StructType

    if isinstance(kind, StructType):
        fields = (f"{quoted(field.name)}: {_sql(field.dataType)}" for field in kind.fields)
        return f"struct<{', '.join(fields)}>"
    if isinstance(kind, ArrayType):
        return f"array<{_sql(kind.elementType)}>"
    if isinstance(kind, MapType):
        return f"map<{_sql(kind.keyType)}, {_sql(kind.valueType)}>"

    return kind.simpleString()


def _text(value: str) -> str:
    """A text as SQL writes it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _require_kind(name: str, existing: Iterable[str], wanted: Iterable[str]):
    """Refuses to keep latest versions in a table of all versions, and the reverse."""
    if (START in existing) == (START in wanted):
        return
    scd, has = ("1", "") if START in existing else ("2", "no ")
    message = (
        f"table {name} has {has}columns {START} and {END}, as another scd_type wrote it; SCD type"
        f" {scd} needs a table of its own: name another destination, or drop this one and its"
        " folder of checkpoints"
    )
    raise config_invalid(message)


def _added(
    existing: StructType, wanted: Iterable[tuple[str, DataType]]
) -> Iterable[tuple[str, DataType]]:
    """Columns, and fields of structs, that a table lacks: place and type.

    Raises:
        DataInvalidError: a column has another type by now.
    """
    known = {field.name.lower(): field for field in existing.fields}
    for name, kind in wanted:
        field = known.get(name.lower())
        if field is None:
            yield quoted(name), kind
        else:
            yield from _fields_added(quoted(name), field.dataType, kind)


def _fields_added(place: str, old: DataType, new: DataType) -> Iterable[tuple[str, DataType]]:
    from pyspark.sql.types import ArrayType, MapType, StructType

    if isinstance(old, StructType) and isinstance(new, StructType):
        known = {field.name.lower(): field for field in old.fields}
        for field in new.fields:
            below = f"{place}.{quoted(field.name)}"
            if field.name.lower() not in known:
                yield below, field.dataType
            else:
                yield from _fields_added(below, known[field.name.lower()].dataType, field.dataType)
    elif isinstance(old, ArrayType) and isinstance(new, ArrayType):
        yield from _fields_added(f"{place}.element", old.elementType, new.elementType)
    elif isinstance(old, MapType) and isinstance(new, MapType):
        yield from _fields_added(f"{place}.value", old.valueType, new.valueType)
    elif _sql(old) != _sql(new):
        raise of(
            "DATA_INVALID",
            f"column {place} is {old.simpleString()} in the table and {new.simpleString()} in the"
            " source; alter the table, or write another one",
        )
