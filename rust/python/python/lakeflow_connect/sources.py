"""Reading without Spark: tables of a source as Arrow streams."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import _native
from .errors import config_invalid, unsupported
from .progress import Progress

if TYPE_CHECKING:
    import pandas
    import pyarrow


def open(source: str | None = None, /, **options: object) -> Source:
    """Opens a source; asks the service for nothing yet.

    Args:
        source: its name, such as `github`; a named connection may know it.
        options: of the source's page, such as `token` and `base_url`; numbers, booleans and paths
            are taken as their text, `None` as not given.

    Returns:
        The source, whose tables can be read.

    Raises:
        ConfigInvalidError: for an unknown source or connection, and a reference that leads nowhere.
    """
    given = _merged(as_options({"sourceName": source}), as_options(options))
    if not any(name.lower() in _NAMING for name in given):
        raise config_invalid("name a source, such as open('github'), or a connection that has one")
    name = next(v for n, v in _native.resolved(given).items() if n.lower() == "sourcename")

    return Source(given, name)


#: Options that say which source it is, in small letters.
_NAMING = ("sourcename", "connection", "databricks.connection")


class Source:
    """A source with the options that all of its reads take."""

    def __init__(self, options: dict[str, str], name: str):
        self._options = options
        self.name = name

    def tables(self, namespace: Sequence[str] = ()) -> list[str]:
        """Names of the tables, sorted; of one namespace where the source has such.

        Raises:
            LakeflowError: what the source's own discovery meets.
        """
        return list(self._contents(namespace)["tables"])

    def namespaces(self, namespace: Sequence[str] = ()) -> list[list[str]]:
        """Whole paths of the namespaces directly below one, sorted; none where there are none."""
        return self._contents(namespace)["namespaces"] or []

    def describe(self, table: str, **options: object) -> dict[str, Any]:
        """What the source says of a table.

        Returns:
            `schema` (Spark's JSON form), `ingestion_type`, `primary_keys`, `cursor_field`,
            `streamable` and `comment`, among others.

        Raises:
            TableNotFoundError: the source has no such table.
        """
        told: dict[str, Any] = json.loads(
            _native.described(self._resolved(table, options), outline=True)
        )

        return told

    def schema(self, table: str, **options: object) -> _native._Schema:
        """The Arrow schema of a table: what `pyarrow.schema` takes, and others by
        `__arrow_c_schema__`.

        Raises:
            TableNotFoundError: the source has no such table.
        """
        return _native.arrow_schema(json.dumps(self.describe(table, **options)["schema"]))

    def read(self, table: str | None = None, /, **options: object) -> Table:
        """A table, to be read from its beginning up to now.

        Args:
            table: its name; left out with option `operation`.
            options: of the source's page, such as `owner` and `repo`.

        Returns:
            The table. Each use of it reads the service again; nothing is asked for before.

        Raises:
            ConfigInvalidError: `table` was given by name.
        """
        if table is None and "table" in options:
            raise config_invalid(f"the table comes first: read({options['table']!r}, ...)"[:120])

        return Table(
            self._given(table, options), f"{self.name}.{table or options.get('operation')}"
        )

    def _contents(self, namespace: Sequence[str]) -> dict[str, Any]:
        contents: dict[str, Any] = json.loads(
            _native.contents(_native.resolved(self._options), list(namespace))
        )

        return contents

    def _given(self, table: str | None, options: Mapping[str, object]) -> dict[str, str]:
        return _merged(self._options, as_options({"tableName": table}), as_options(options))

    def _resolved(self, table: str, options: Mapping[str, object]) -> dict[str, str]:
        return _native.resolved(self._given(table, options))

    def __repr__(self) -> str:
        return f"<source {self.name}>"


class Table:
    """Rows of a table as an Arrow stream, in record batches of about 10,000 rows or 8 MiB.

    pyarrow (`pyarrow.RecordBatchReader.from_stream`), polars (`polars.DataFrame`), DuckDB (by the
    variable's name in a query) and others read it directly. A read under way holds a few batches
    in memory. Ctrl-C ends it: with `KeyboardInterrupt` here, with an error of their own in readers
    that take streams only.
    """

    def __init__(
        self,
        options: dict[str, str],
        name: str,
        columns: tuple[str, ...] | None = None,
        rows: int | None = None,
    ):
        self._options = options
        self._name = name
        self._columns = columns
        self._rows = rows

    def select(self, *columns: str | Sequence[str]) -> Table:
        """These columns, in this order; where it can select, the service sends no others.

        Args:
            columns: names, one by one or as one list.

        Raises:
            ConfigInvalidError: there is no name, one that is no text, or one twice.
        """
        listed = len(columns) == 1 and isinstance(columns[0], (list, tuple))
        names = tuple(columns[0] if listed else columns)
        wrong = [name for name in names if not isinstance(name, str)]
        if wrong or not names:
            given = f"got {wrong[0]!r}"[:80] if wrong else "got none"
            raise config_invalid(f"select takes names of columns, {given}")
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise config_invalid(f"select names column '{repeated}' twice")

        return Table(self._options, self._name, names, self._rows)

    def limit(self, rows: int) -> Table:
        """The first rows, at most so many; of several limits the least counts.

        Raises:
            ConfigInvalidError: `rows` is no number from 0 on.
        """
        if isinstance(rows, bool) or not hasattr(rows, "__index__") or rows.__index__() < 0:
            raise config_invalid(f"limit takes a number of rows, 0 or more, got {rows!r}"[:120])
        least = rows.__index__() if self._rows is None else min(rows.__index__(), self._rows)

        return Table(self._options, self._name, self._columns, least)

    def batches(self) -> Iterator[_native._Batch]:
        """Reads the table: record batches that `pyarrow.record_batch` and others take.

        Raises:
            LakeflowError: what the source meets, at once or at any batch.
        """
        return iter(self._begin())

    def to_arrow(self) -> pyarrow.Table:
        """All rows as a table of pyarrow, which must be installed.

        Raises:
            LakeflowError: what the source meets.
        """
        import pyarrow

        read = self._begin()
        schema = pyarrow.schema(read)
        with Progress(self._name) as progress, progress.following(lambda: _counts(read)):
            batches = list(map(pyarrow.record_batch, read))

        return pyarrow.Table.from_batches(batches, schema)

    def to_pandas(self, **arguments: Any) -> pandas.DataFrame:
        """All rows as a data frame of pandas, which must be installed, and pyarrow with it.

        Args:
            arguments: those of `pyarrow.Table.to_pandas`.
        """
        return self.to_arrow().to_pandas(**arguments)

    def columns(self) -> list[str]:
        """The names of the columns, in order.

        Raises:
            LakeflowError: what the source's own discovery meets; a column is selected that the
                table does not have.
        """
        return [field["name"] for field in self._schema()["fields"]]

    def __arrow_c_schema__(self) -> object:
        return _native.arrow_schema(json.dumps(self._schema())).__arrow_c_schema__()

    def _schema(self) -> dict[str, Any]:
        """The schema in Spark's JSON form."""
        described: dict[str, Any] = json.loads(_native.described(_native.resolved(self._options)))
        schema: dict[str, Any] = described["schema"]
        if self._columns is not None:
            known = {field["name"]: field for field in schema["fields"]}
            unknown = [name for name in self._columns if name not in known]
            if unknown:
                raise config_invalid(f"the table has no column '{unknown[0]}'")
            schema["fields"] = [known[name] for name in self._columns]

        return schema

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._begin().__arrow_c_stream__(requested_schema)

    def _begin(self) -> _native.Read:
        wanted: dict[str, Any] = {"columns": self._columns, "limit": self._rows, "filters": []}

        return _native.read(_native.resolved(self._options), json.dumps(wanted))

    def __repr__(self) -> str:
        return f"<table {self._name}>"


def _merged(*given: dict[str, str]) -> dict[str, str]:
    """Options of which later ones win; their names may be written in any case."""
    merged: dict[str, tuple[str, str]] = {}
    for options in given:
        merged |= {name.lower(): (name, value) for name, value in options.items()}

    return dict(merged.values())


def _counts(read: _native.Read) -> dict[str, Any]:
    counts = json.loads(read.metrics())

    return {n: counts[m] for n, m in _SHOWN.items()}


#: What a line of progress shows, by the names of counters.
_SHOWN = {"rows": "records", "requests": "requests", "waiting": "waiting"}


def as_options(values: Mapping[str, object]) -> dict[str, str]:
    """Options as text."""
    return {name: _text(name, value) for name, value in values.items() if value is not None}


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(value)
    if isinstance(value, bytes):
        raise unsupported(f"option '{name}' is given as bytes; give text")
    text = str(value)
    if not text.isprintable() and any("\ud800" <= c <= "\udfff" for c in text):
        raise config_invalid(f"option '{name}' has half of a character (a lone surrogate)")

    return text
