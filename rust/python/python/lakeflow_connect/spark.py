"""The format `lakeflow_connect` as a Python data source, for PySpark 4.0 and later.

Where the jar is present, its format of the same name serves instead; both take the same options and
write the same offsets and slices.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from pyspark.sql import datasource
from pyspark.sql.datasource import (
    DataSource,
    DataSourceReader,
    DataSourceStreamReader,
    InputPartition,
)
from pyspark.sql.types import StructType

from .classic import has_format
from .errors import ConfigInvalidError, config_invalid, unsupported

try:
    from pyspark.sql.streaming.datasource import (
        ReadAllAvailable,
        ReadLimit,
        ReadMaxRows,
        SupportsTriggerAvailableNow,
    )
except ImportError:  # PySpark 4.0 and 4.1, which ask for one slice without a limit
    ReadLimit = ReadAllAvailable = ReadMaxRows = None

    class SupportsTriggerAvailableNow:  # type: ignore[no-redef]
        """Stands for what this PySpark lacks."""


if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import SparkSession

    from . import _native

FORMAT = "lakeflow_connect"

_LOG = logging.getLogger("lakeflow_connect")

#: Options that bound a slice where Spark itself gives no limit.
_ROW_CAPS = ("max_records_per_batch", "maxRowsPerTrigger")
_BYTE_CAP = "maxBytesPerTrigger"


class LakeflowSource(DataSource):
    """Tables of SaaS APIs: `spark.read.format("lakeflow_connect")`, and `spark.readStream`.

    Takes options as the jar's format does: `sourceName`, `tableName` and those of the source.
    """

    #: The source to read unless option `sourceName` says another.
    default_source: str | None = None

    def __init__(self, options: dict[str, str]):
        super().__init__(options)
        self._description: dict[str, Any] | None = None

    @classmethod
    def name(cls) -> str:
        """The name of the format."""
        return FORMAT

    def schema(self) -> StructType:
        """The table's columns.

        Raises:
            LakeflowError: for options that are wrong, before any query.
        """
        return StructType.fromJson(self._describe()["schema"])

    def reader(self, schema: StructType) -> DataSourceReader:
        """Reads the table from its beginning up to now."""
        self._require_readable(schema)
        options = self.resolved()
        # Whoever overrides `pushFilters` fails where Spark's setting does not allow it.
        if (_option(options, "pushFilters") or "").lower() == "true":
            return _FilteringReader(options, schema, self._describe())

        return _BatchReader(options, schema)

    def streamReader(self, schema: StructType) -> DataSourceStreamReader:
        """Reads the table's changes."""
        return _StreamReader(self, schema)

    def stream(self, schema: StructType) -> _native.Stream:
        """The table's changes in native code.

        Raises:
            LakeflowError: where the table cannot be streamed, or not so.
        """
        from . import _native

        self._require_readable(schema)
        options = self.resolved()

        return _native.Stream(options, _folder(options), schema.json())

    def resolved(self) -> dict[str, str]:
        """The options to read with, references and named connections followed."""
        from . import _native

        options = dict(self.options)
        try:
            return _native.resolved(options)
        except ConfigInvalidError:
            # Only where nothing names a source: a connection may be one of another.
            if self.default_source is None or _option(options, "sourceName") is not None:
                raise
            return _native.resolved(options | {"sourceName": self.default_source})

    def _describe(self) -> dict[str, Any]:
        if self._description is None:
            from . import _native

            self._description = json.loads(_native.described(self.resolved()))

        return self._description

    def _require_readable(self, given: StructType) -> None:
        from . import _native

        table = self._describe()
        names = (table["source"], table["table"])
        left_out = _native.left_out(*names, json.dumps(table["schema"]), given.json())
        if left_out:
            _LOG.warning(
                "table %s.%s has columns that the given schema leaves out: %s",
                *names,
                ", ".join(left_out),
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _Split(InputPartition):
    """What one task reads of a table, as text of the engine."""

    def __init__(self, text: str):
        super().__init__(None)
        self.text = text


class _Part(InputPartition):
    """What one task reads of stored slices; empty for nothing. Not shown: it may be rows."""

    def __init__(self, part: bytes):
        super().__init__(None)
        self.part = part

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.part)} bytes)"


class _Hidden:
    """A reader on its way to the executors: shows nothing of its options, which may be secrets."""

    def __repr__(self) -> str:
        return type(self).__name__


class _BatchReader(_Hidden, DataSourceReader):
    def __init__(self, options: dict[str, str], schema: StructType):
        self._options = options
        self._schema = schema.json()
        self._wanted = _wanted(schema)

    def partitions(self) -> list[InputPartition]:
        from . import _native

        # Nobody tells how many tasks run at once: those of this machine, or option numPartitions.
        slots = os.cpu_count() or 1

        return [_Split(s) for s in _native.planned(self._options, self._wanted, slots)]

    def read(self, partition: InputPartition) -> Iterator[pyarrow.RecordBatch]:
        from . import _native

        split = partition.text if isinstance(partition, _Split) else None
        yield from _batches(_native.read(self._options, self._wanted, split, self._schema))


class _FilteringReader(_BatchReader):
    """Asks for fewer rows where the source can tell them apart; Spark filters again."""

    def __init__(self, options: dict[str, str], schema: StructType, table: dict[str, Any]):
        super().__init__(options, schema)
        self._names = schema
        self._table = table

    def pushFilters(self, filters: list[datasource.Filter]) -> Iterable[datasource.Filter]:
        conditions = [c for c in map(self._condition, filters) if c is not None]
        self._wanted = _wanted(self._names, conditions)

        return filters

    def _condition(self, filter: datasource.Filter) -> dict[str, str] | None:
        comparison = _COMPARISONS.get(type(filter).__name__)
        if comparison is None or len(filter.attribute) != 1:
            return None
        (column,), value = filter.attribute, filter.value
        if isinstance(value, datetime) and value.tzinfo is not None:
            value = value.astimezone(timezone.utc).isoformat()
        told_apart = comparison == "equal" and value in self._table["filters"].get(column, ())
        if not isinstance(value, str) or not (
            told_apart or column == self._table["ordering_column"]
        ):
            return None

        return {"column": column, "comparison": comparison, "value": value}


class _StreamReader(_Hidden, DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Offsets and slices in the one process that plans the query; rows in the tasks."""

    def __init__(self, source: LakeflowSource, schema: StructType):
        # PySpark hides what is raised here, so nothing is checked before the first question.
        self._source = source
        self._wanted = schema
        self._schema = schema.json()
        self._columns = _wanted(schema)
        self._options: dict[str, str] = {}
        self._stream: _native.Stream | None = None
        self._single_drain = False
        self._reached: dict[str, Any] | None = None
        # Where PySpark does not say at which offset to go on: there, and the slice read from there.
        self._at = "{}"
        self._next: tuple[str, str] | None = None

    def _open(self) -> _native.Stream:
        if self._stream is None:
            self._stream = self._source.stream(self._wanted)
            _before_the_end(self.stop)

        return self._stream

    def initialOffset(self) -> dict[str, Any]:
        self._open()

        return {}

    def getDefaultReadLimit(self) -> ReadLimit:
        return ReadMaxRows(self._open().default_limit())

    def prepareForTriggerAvailableNow(self) -> None:
        self._single_drain = True

    def latestOffset(
        self, start: dict[str, Any] | None = None, limit: ReadLimit | None = None
    ) -> dict[str, Any]:
        if start is not None:
            end = self._read(_text(start), _rows(limit))
        elif self._next and self._next[0] == self._at:
            end = self._next[1]
        else:
            end = self._read(self._at, self._cap())
            self._next = (self._at, end) if end != self._at else None
        self._reached = json.loads(end)

        return self._reached

    def reportLatestOffset(self) -> dict[str, Any] | None:
        return self._reached

    def partitions(self, start: dict[str, Any], end: dict[str, Any]) -> list[InputPartition]:
        self._at = _text(end)
        stream, batch, tasks = self._open(), (_text(start), _text(end)), os.cpu_count() or 1
        splits = stream.splits(*batch, tasks)
        if splits is not None:
            return [_Split(split) for split in splits]

        return [_Part(part) for part in stream.parts(*batch, tasks)] or [_Part(b"")]

    def read(self, partition: InputPartition) -> Iterator[pyarrow.RecordBatch]:
        from . import _native

        if isinstance(partition, _Split):
            read = _native.read(self._options, self._columns, partition.text, self._schema)
            yield from _batches(read)
        elif isinstance(partition, _Part) and partition.part:
            yield from _batches(_native.stored(partition.part, self._schema))

    def commit(self, end: dict[str, Any]) -> None:
        self._open().commit(_text(end))

    def stop(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = None

    def _read(self, start: str, rows: int | None) -> str:
        end: dict[str, Any] = json.loads(self._open().latest(start, rows, self._single_drain))
        for warning in end["warnings"]:
            _LOG.warning(warning)

        offset: str = end["offset"]

        return offset

    def _cap(self) -> int | None:
        """Rows of a slice that Spark asks for without a limit: all, unless an option bounds it."""
        names = {name.lower() for name in self._source.resolved()}
        caps = [name for name in (*_ROW_CAPS, _BYTE_CAP) if name.lower() in names]
        if not caps:
            return None
        if self._reached is None:
            _LOG.warning(
                "this PySpark asks for one micro-batch in a run with Trigger.AvailableNow; "
                "option %s ends it, and the rest comes with the next run",
                caps[0],
            )

        return _ALL if caps == [_BYTE_CAP] else self._open().default_limit()

    def __getstate__(self) -> dict[str, Any]:
        # Tasks read parts or splits; the stream stays where it is.
        options = self._source.resolved()

        return {"_schema": self._schema, "_columns": self._columns, "_options": options}


def _before_the_end(stop: Callable[[], None]) -> None:
    """Calls `stop` when Spark ends this process, which it does by SIGTERM: no rows stay behind."""
    if threading.current_thread() is not threading.main_thread():
        return

    def end(number: int, _: object) -> None:
        stop()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, end)


def _wanted(schema: StructType, conditions: Iterable[dict[str, str]] = ()) -> str:
    return json.dumps({"columns": schema.names, "limit": None, "filters": list(conditions)})


#: Spark's filters that the engine knows.
_COMPARISONS = {
    "EqualTo": "equal",
    "GreaterThan": "at_least",
    "GreaterThanOrEqual": "at_least",
    "LessThan": "at_most",
    "LessThanOrEqual": "at_most",
}


#: More rows than any slice has.
_ALL = 2**63 - 1


def _batches(read: _native.Read) -> Iterator[pyarrow.RecordBatch]:
    import pyarrow

    return map(pyarrow.record_batch, read)


def _text(offset: dict[str, Any]) -> str:
    """The engine's own text of an offset, which PySpark takes apart and puts together so."""
    return json.dumps(offset)


def _rows(limit: ReadLimit | None) -> int | None:
    if limit is None or isinstance(limit, ReadAllAvailable):
        return None
    if isinstance(limit, ReadMaxRows):
        return int(limit.max_rows)
    raise unsupported(f"the read limit {limit} is not known")


def _option(options: dict[str, str], name: str) -> str | None:
    return next((v.strip() for n, v in options.items() if n.lower() == name.lower()), None)


def _folder(options: dict[str, str]) -> str | None:
    """The folder of option `sliceStore`, as every worker can open it."""
    given = _option(options, "sliceStore")
    if not given:
        return None
    path = re.sub(r"^file:(//)?(?=/)", "", given)
    if not path.startswith("/"):
        raise config_invalid(
            f"option 'sliceStore' must be the path of a folder that all workers see, such as "
            f'/Volumes/…, got "{given[:80]}"; other file systems need the jar'
        )

    return path


def register(spark: SparkSession, source: str | None = None) -> None:
    """Registers the format in a session.

    Where the session has the format already, by the jar or, on PySpark 4.0, by itself, that one
    serves, and a warning says that reads must name their source.

    Args:
        spark: the session.
        source: what option `sourceName` is unless a read says another, such as `github`.

    Raises:
        TypeError: `source` is no text; a class goes to `spark.dataSource.register`.
        ConfigInvalidError: there is no such source.
    """
    from . import _native

    kind: type[LakeflowSource] = LakeflowSource
    if source is not None:
        if not isinstance(source, str):
            raise TypeError(
                "register takes the name of a source; classes go to spark.dataSource.register"
            )
        known = {name.lower(): name for name in _native.sources()}
        name = known.get(source.strip().lower())
        if name is None:
            raise config_invalid(
                f"unknown source '{source[:80]}'; known sources: {', '.join(sorted(known))}"
            )
        kind = type("LakeflowSource", (LakeflowSource,), {"default_source": name})
    serves = has_format(spark)
    try:
        spark.dataSource.register(kind)
    except Exception as error:
        if "DATA_SOURCE_ALREADY_EXISTS" not in str(error):
            raise
        serves = True
    if serves and source is not None:
        warnings.warn(
            f"this session has the format {FORMAT} already; reads must give option "
            f"sourceName={source}",
            stacklevel=2,
        )
