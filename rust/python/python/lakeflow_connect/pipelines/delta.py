"""The back end for Spark with Delta Lake, which does everything by itself.

One table after the other; a table that fails does not keep others from being written. A run that
died anywhere is made whole by the next one: every step gives the same result when it comes again.
"""

from __future__ import annotations

import json
import os
import re
import uuid
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ..classic import has_format
from ..errors import config_invalid, of
from . import merges
from .counts import StreamCounts
from .merges import DELETED, END, SEQUENCE, START, Change, path
from .plan import Ingestion, PlannedTable, quoted
from .spec import Problem, SpecError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming import DataStreamWriter, StreamingQuery
    from pyspark.sql.types import DataType, StructType

_FORMAT = "lakeflow_connect"

#: Begin of the names of properties that tell whose a table is and how it is written.
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
        checkpoints: folder for what tables must remember between runs; its own for each pipeline.
    """

    def __init__(self, spark: SparkSession, checkpoints: str):
        self._spark = spark
        self._checkpoints = _absolute(spark, checkpoints).rstrip("/")

    def run(self, tables: Sequence[PlannedTable]) -> list[Written]:
        """Reads what is new of each table and writes it.

        Raises:
            SpecError: two tables write to one place; nothing was done then.
        """
        self._require_own_places(tables)
        results = []
        for table in tables:
            writer = _Writer(self._spark, table, f"{self._checkpoints}/{table.tag}")
            try:
                results.append(Written(table.name, writer.write()))
            except Exception as error:
                results.append(Written(table.name, writer.rows, error))

        return results

    def _require_own_places(self, tables: Sequence[PlannedTable]):
        """Refuses names that are spelled in different ways and mean one table."""
        here = (self._spark.catalog.currentCatalog(), self._spark.catalog.currentDatabase())
        writers: dict[tuple[str, ...], list[str]] = {}
        for table in tables:
            *place, name = (*here[: 3 - len(table.destination)], *table.destination)
            deletes = table.ingestion is Ingestion.CDC_WITH_DELETES
            for written in [name, _deletes_of(name)] if deletes else [name]:
                key = tuple(part.lower() for part in (*place, written))
                writers.setdefault(key, []).append(table.source)
        problems = [
            Problem("", f"tables {' and '.join(sources)} write to one table, {'.'.join(place)}")
            for place, sources in writers.items()
            if len(sources) > 1
        ]
        if problems:
            raise SpecError(problems)


class _Writer:
    """Writes one table."""

    def __init__(self, spark: SparkSession, table: PlannedTable, folder: str):
        self._spark = spark
        self._table = table
        self._folder = folder
        self._columns = table.columns
        self._change = Change(table.keys, table.sequence, table.instants)
        self.rows = 0

    def write(self) -> int:
        """Brings the table up to date; the number of rows that the source gave."""
        self._schema = self._read().schema
        columns = self._definition()
        # What was remembered goes with the table: one that is made anew is read from the beginning.
        self._folder += f"_{self._claim(columns)}"
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

    def _claim(self, columns: Sequence[tuple[str, DataType]]) -> str:
        """Makes the table unless there is one, which must be one that was written so, or empty.

        Returns:
            The table's id.

        Raises:
            ConfigInvalidError: it is another's, or was written in another way.
        """
        name = self._table.name
        given = {
            "id": uuid.uuid4().hex[:8],
            "source": f"{self._table.connection}.{self._table.source}",
            "scd_type": str(self._table.scd or "none"),
            "keys": json.dumps(self._table.keys),
            "sequence": json.dumps(self._table.sequence if self._table.scd == 2 else ()),
        }
        properties = ", ".join(f"{_text(_PROPERTY + k)} = {_text(v)}" for k, v in given.items())
        self._create(name, columns, self._table.clustering, properties)
        rows = self._spark.sql(f"SHOW TBLPROPERTIES {name}").collect()
        found = {r.key[len(_PROPERTY) :]: r.value for r in rows if r.key.startswith(_PROPERTY)}
        if given | {"id": found.get("id")} != found:
            if self._has_rows():
                raise config_invalid(_difference(name, found, given))
            self._spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ({properties})")
            found = given

        return found["id"]

    def _has_rows(self) -> bool:
        return bool(self._spark.table(self._table.name).limit(1).collect())

    def _create(
        self,
        name: str,
        columns: Sequence[tuple[str, DataType]],
        clustering: Sequence[str] = (),
        properties: str = "",
    ):
        """Makes a table unless there is one."""
        defined = ", ".join(f"{quoted(name)} {_sql(kind)}" for name, kind in columns)
        clustered = f" CLUSTER BY ({', '.join(map(path, clustering))})" if clustering else ""
        more = f" TBLPROPERTIES ({properties})" if properties else ""
        self._spark.sql(
            f"CREATE TABLE IF NOT EXISTS {name} ({defined}) USING delta{clustered}{more}"
        )

    def _grow(self, columns: Sequence[tuple[str, DataType]]):
        """Adds columns, and fields of columns, that the table lacks."""
        name = self._table.name
        added = list(_added(self._spark.table(name).schema, columns))
        if added:
            text = ", ".join(f"{column} {_sql(kind)}" for column, kind in added)
            self._spark.sql(f"ALTER TABLE {name} ADD COLUMNS ({text})")

    # Rows that never change.

    def _append(self):
        if self._has_rows() and not self._is_there(f"{self._folder}/checkpoint/metadata"):
            raise config_invalid(
                f"the checkpoint of table {self._table.name} is gone: restore {self._folder}, or"
                " drop the table; else all of its rows would be appended again"
            )
        self._warn_of_repeats()

        def start(options: dict[str, str]) -> DataStreamWriter:
            return self._stream(options).writeStream.format("delta").outputMode("append")

        self._finish(start, lambda writer: writer.toTable(self._table.name))

    def _is_there(self, file: str) -> bool:
        from pyspark.errors import AnalysisException

        try:
            self._spark.read.text(file).limit(1).collect()
        except AnalysisException:
            return False

        return True

    def _warn_of_repeats(self):
        if self._slices() is None and not has_format(self._spark):
            warnings.warn(
                f"table {self._table.source}: rows within the lookback are appended again with each"
                " run unless the jar serves, or checkpoints or option sliceStore name a folder"
                " that every worker sees",
                stacklevel=2,
            )

    # Changes.

    def _changes(self):
        feed = self._table.ingestion is Ingestion.CDC_WITH_DELETES
        options = {"readChangeFeed": "true"} if feed else {}
        if feed:
            self._create(self._deletes, self._deletes_definition())

        def start(more: dict[str, str]) -> DataStreamWriter:
            return self._stream(options | more).writeStream.foreachBatch(self._merge_batch)

        self._finish(start, lambda writer: writer.start())

    def _merge_batch(self, batch: DataFrame, _: int):
        found = merges.events(batch, self._columns, self._change)
        # Read more than once below; places that keep nothing read the slice again.
        with suppress(Exception):
            found.persist()
        try:
            if self._table.ingestion is Ingestion.CDC_WITH_DELETES:
                self._note_deletes(found)
            deletes = self._known_deletes(batch.sparkSession)
            if self._table.scd == 2:
                self._merge_history(found, deletes)
            else:
                self._merge_latest(found, deletes)
        finally:
            with suppress(Exception):
                found.unpersist()

    def _merge_latest(self, found: DataFrame, deletes: DataFrame):
        change = self._change
        if self._table.ingestion is Ingestion.CDC_WITH_DELETES:
            found = merges.without_deleted(found, deletes, change)
        rows = merges.latest(found, change)
        younger = f"s.{SEQUENCE} >= {self._sequence_of('t')}"
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
        return ".".join(map(quoted, [*place, _deletes_of(name)]))

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
        # A folder of this run alone: of two at once neither sees what the other has read so far.
        staged = f"{self._folder}/snapshot-{uuid.uuid4().hex}"
        frame = self._aligned(self._read())
        try:
            frame.write.parquet(staged)
            snapshot = self._spark.read.schema(frame.schema).parquet(staged)
            self.rows = snapshot.count()
            # A list that moves while it is read may show a row twice.
            found = merges.events(snapshot, self._columns, self._change)
            found = merges.latest(found, self._change)
            if self._table.scd == 2:
                self._merge_snapshot_history(found)
            else:
                self._merge_snapshot(found)
        finally:
            with suppress(Exception):
                self._remove(staged)

    def _remove(self, folder: str):
        jvm = getattr(self._spark, "_jvm", None)
        if jvm is None:
            # A client of Spark Connect can empty a folder, and not remove it.
            empty = self._spark.createDataFrame([], "nothing INT")
            empty.write.mode("overwrite").parquet(folder)
            return
        place = jvm.org.apache.hadoop.fs.Path(folder)
        place.getFileSystem(self._spark._jsc.hadoopConfiguration()).delete(place, True)

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
        # Clocks may go back, times of versions may not.
        last = f.max(f.unix_micros(f.greatest(START, END)))
        ((last,),) = existing.select(last).collect()
        now = f.lit(datetime.now(timezone.utc))
        if last is not None:
            now = f.greatest(now, f.timestamp_micros(f.lit(last + 1)))
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
        slices = self._slices()
        if slices is not None:
            options = options | {"sliceStore": slices}
        options = self._table.options | options

        return self._aligned(self._spark.readStream.format(_FORMAT).options(**options).load())

    def _slices(self) -> str | None:
        """Where slices lie, if that is known: the jar would find a place by itself, but the Python
        data source is told of none."""
        given = {name.lower(): value for name, value in self._table.options.items()}
        if "slicestore" in given:
            return given["slicestore"]
        folder = re.sub("^dbfs:(?=/Volumes/)", "", self._folder)

        return f"{folder}/slices" if re.match("(file:)?/", folder) else None

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

    def _finish(
        self,
        writer: Callable[[dict[str, str]], DataStreamWriter],
        start: Callable[[DataStreamWriter], StreamingQuery],
    ):
        """Runs a stream, which is read with more options, until it has caught up."""
        location = f"{self._folder}/checkpoint"
        with StreamCounts() as counts:
            while True:
                before, stream = counts.rows, writer(counts.options)
                stream = stream.option("checkpointLocation", location).trigger(availableNow=True)
                try:
                    counts.follow(start(stream), self._table.source)
                finally:
                    self.rows = counts.rows
                if counts.rows == before or not _ends_early(self._spark):
                    return

    def _merge(self, rows: DataFrame, on: str, actions: str, target: str | None = None):
        view = f"lakeflow_{self._table.tag}"
        rows.createOrReplaceTempView(view)
        target = target or self._table.name
        try:
            rows.sparkSession.sql(f"MERGE INTO {target} t USING {view} s ON {on} {actions}")
        finally:
            rows.sparkSession.catalog.dropTempView(view)

    def _sequence_of(self, alias: str) -> str:
        """A row's sequence as [`SEQUENCE`] holds it."""
        names = enumerate(self._table.sequence)
        fields = (f"'_{number}', {self._change.ordered(name, alias)}" for number, name in names)

        return f"named_struct({', '.join(fields)})"

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


def _difference(name: str, found: Mapping[str, str], given: Mapping[str, str]) -> str:
    """How the rows of a table were written, and how they are to be."""
    if "id" not in found:
        return (
            f"table {name} has rows that were not written from here: name another destination, or"
            " empty it"
        )
    told = (
        f"with {what} {found.get(what)}, now it is {value}"
        for what, value in given.items()
        if what != "id" and found.get(what) != value
    )

    return (
        f"table {name} was written {'; '.join(told)}: restore that, name another destination, or"
        " drop the table"
    )


def _deletes_of(name: str) -> str:
    """The table beside a table that keeps its deletes."""
    return f"{name}__deletes"


def _absolute(spark: SparkSession, folder: str) -> str:
    """A folder by its whole path where it may be one of this machine."""
    is_here = getattr(spark, "_jvm", None) is not None and not re.match(r"[\w.+-]{2,}:", folder)

    return os.path.abspath(folder) if is_here else folder


def _ends_early(spark: SparkSession) -> bool:
    """Whether a stream may end before it has caught up: one micro-batch is all that the Python data
    source gets before PySpark 4.2."""
    version = tuple(map(int, re.findall(r"\d+", spark.version)[:2]))

    return version < (4, 2) and not has_format(spark)


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
