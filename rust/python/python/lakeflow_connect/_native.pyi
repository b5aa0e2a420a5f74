"""The native half: options in as text, Arrow out. Everything else is JSON of the engine's making.

Every call raises `lakeflow_connect.errors.LakeflowError`, and `KeyboardInterrupt` on Ctrl-C.
"""

from collections.abc import Iterator
from os import PathLike
from typing import Any

class _Batch:
    """A record batch, for whatever takes Arrow."""

    num_rows: int
    num_columns: int

    def __arrow_c_array__(
        self, requested_schema: object | None = None
    ) -> tuple[object, object]: ...
    def __arrow_c_schema__(self) -> object: ...

class _Schema:
    """A schema, for whatever takes Arrow."""

    def __arrow_c_schema__(self) -> object: ...

class Read:
    """A read under way: record batches, and an Arrow stream of those that are left."""

    def __iter__(self) -> Iterator[_Batch]: ...
    def __next__(self) -> _Batch: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def metrics(self) -> str:
        """Counters up to now, and `waiting` for a rate limit: a JSON object."""

class Stream:
    """A stream whose slices lie in a store, or, without one, in a folder of this process."""

    def __init__(
        self,
        options: dict[str, str],
        store: str | PathLike[str] | None = None,
        schema: str | None = None,
    ) -> None: ...
    def default_limit(self) -> int:
        """Rows of a slice unless another number is asked for."""

    def latest(self, start: str, rows: int | None, single_drain: bool) -> str:
        """Reads the next slice; `{"offset", "rows", "lag_ms", "warnings", "metrics"}`."""

    def splits(self, start: str, end: str, slots: int) -> list[str] | None:
        """Splits of a batch that tasks read by themselves; `None` where its rows are stored."""

    def parts(self, start: str, end: str, tasks: int) -> list[bytes]:
        """What tasks hand to `stored` to read a batch; none where there are no rows."""

    def close(self) -> None:
        """Removes the rows of a stream without a store; it must not be used any more."""

    def commit(self, end: str) -> None:
        """Drops what was committed."""

def sources() -> list[str]: ...
def resolved(options: dict[str, str]) -> dict[str, str]:
    """The options to read with, references and named connections followed."""

def described(options: dict[str, str], outline: bool = False) -> str:
    """A table's description; with `outline`, options that it requires may be missing."""

def contents(options: dict[str, str], namespace: list[str]) -> str:
    """`{"namespaces", "tables"}` of a namespace."""

def planned(options: dict[str, str], wanted: str, slots: int) -> list[str]:
    """Splits in which tasks share a batch read; at least one."""

def read(
    options: dict[str, str], wanted: str, split: str | None = None, schema: str | None = None
) -> Read:
    """Begins to read; `schema` is Spark's JSON form of what batches shall look like."""

def stored(part: bytes, schema: str) -> Read:
    """Reads a part of stored slices."""

def arrow_schema(schema: str) -> _Schema:
    """The Arrow schema of Spark's JSON form."""

def left_out(source: str, table: str, declared: str, given: str) -> list[str]:
    """Columns that a given schema lacks; raises if rows cannot be read as it."""

def __getattr__(name: str) -> Any: ...
