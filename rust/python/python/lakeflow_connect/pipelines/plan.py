"""From a specification and what the source says of its tables to what is created.

The plan is the same for every engine; a back end carries it out.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from .spec import PipelineSpec, Problem, ScdType, SpecError, TableSpec

_METADATA = "_community_table_metadata"


class Source(Protocol):
    """What a plan asks of a source; options are those of a read."""

    def rows(self, options: Mapping[str, str]) -> Iterable[Mapping[str, object]]:
        """The rows of a table."""

    def columns(self, options: Mapping[str, str]) -> Sequence[str]:
        """The names of a table's columns."""


class Ingestion(Enum):
    """How a table of the source changes."""

    #: Read whole each time; what is missing was deleted.
    SNAPSHOT = "snapshot"
    #: New versions of rows.
    CDC = "cdc"
    #: New versions of rows, and deletes from a feed of their own.
    CDC_WITH_DELETES = "cdc_with_deletes"
    #: Rows that never change.
    APPEND = "append"


@dataclass(frozen=True)
class PlannedTable:
    """One table to create, with nothing left to decide.

    Attributes:
        connection: name of the connection.
        source: table of the source.
        destination: catalog, schema and table to write, as many as there are.
        ingestion: how the source's table changes.
        scd: 1 for the latest version of each row, 2 for all of them; `None` for plain rows.
        keys: columns that identify a row; none for plain rows.
        sequence: columns that order the versions of a row; none for snapshots and plain rows.
        instants: those of them that are points in time, whatever their type: text of other zones
            would be in another order.
        clustering: columns by which the table is clustered.
        columns: columns that are written, in the source's order.
        options: what every read is given.
        tag: part of names of views and flows, unique in an engine.
    """

    connection: str
    source: str
    destination: tuple[str, ...]
    ingestion: Ingestion
    scd: int | None
    keys: tuple[str, ...]
    sequence: tuple[str, ...]
    instants: tuple[str, ...]
    clustering: tuple[str, ...]
    columns: tuple[str, ...]
    options: Mapping[str, str]
    tag: str

    @property
    def name(self) -> str:
        """The destination as SQL writes it."""
        return ".".join(quoted(part) for part in self.destination)

    def view(self, what: str) -> str:
        """Name of the view of the source's `upsert`, `delete`, `snapshot` or `append` rows."""
        return f"source_{self.tag}_{what}"


def plan(
    spec: PipelineSpec,
    source: Source,
    options: Mapping[str, str] | None = None,
    *,
    skip_failing: bool = False,
) -> list[PlannedTable]:
    """Decides what to create.

    Args:
        spec: the specification.
        source: says what tables it has.
        options: what every read is given besides the connection's name.
        skip_failing: leave out tables with problems, with a warning, if others are left.

    Returns:
        The tables, in the order of the specification.

    Raises:
        SpecError: tables that the source lacks, cannot describe, or cannot write as asked for; all
            of them are named at once.
    """
    base = dict(options or {}) | {"databricks.connection": spec.connection}
    problems, tables = [], []
    for table, found in zip(spec.tables, _metadata(spec.tables, source, base)):
        try:
            tables.append(_planned(spec, table, found, source, base))
        except SpecError as error:
            problems += error.problems
    if problems and not (skip_failing and tables):
        raise SpecError(problems)
    for problem in problems:
        warnings.warn(f"left out: {problem}", stacklevel=2)

    return tables


def quoted(name: str) -> str:
    """A name as SQL writes it, whatever is in it."""
    return "`" + name.replace("`", "``") + "`"


def _metadata(tables: Iterable[TableSpec], source: Source, base: Mapping[str, str]) -> list:
    """What the source says of each table; tables that are listed twice are asked for apart, since
    their options may differ."""
    tables = list(tables)
    found: list = [None] * len(tables)
    waiting = list(range(len(tables)))
    while waiting:
        batch = {}
        for number in waiting:
            batch.setdefault(tables[number].source, number)
        asked = {
            "tableName": _METADATA,
            "tableNameList": json.dumps(list(batch)),
            "tableConfigs": json.dumps({n: dict(tables[i].options) for n, i in batch.items()}),
            "withErrors": "true",
            "withCursorKinds": "true",
        }
        for row in source.rows(dict(base) | asked):
            found[batch[row["tableName"]]] = row
        waiting = [number for number in waiting if number not in batch.values()]

    return found


def _planned(
    spec: PipelineSpec,
    table: TableSpec,
    found: Mapping | None,
    source: Source,
    base: Mapping[str, str],
) -> PlannedTable:
    problems = []
    options = dict(base) | table.options | {"tableName": table.source}

    def problem(message: str):
        problems.append(Problem(table.path, message))

    if found is None or found.get("_error"):
        told = (found or {}).get("_error") or "the source does not describe it"
        raise SpecError([Problem(table.path, f"table '{table.source}': {told}")])
    try:
        ingestion = Ingestion(found["ingestion_type"] or "cdc")
    except ValueError:
        kind = found["ingestion_type"]
        raise SpecError([Problem(table.path, f"unknown ingestion type {kind!r}")]) from None
    if table.scd is ScdType.APPEND_ONLY:
        if ingestion is Ingestion.SNAPSHOT:
            problem("scd_type APPEND_ONLY does not go with a snapshot table, which has no changes")
        ingestion = Ingestion.APPEND
    elif table.scd is not None and ingestion is Ingestion.APPEND:
        warnings.warn(
            f"{table.path}: scd_type {table.scd.value} has no effect on table '{table.source}',"
            " whose rows never change",
            stacklevel=2,
        )
    keys = table.keys or tuple(found["primary_keys"] or ())
    cursor, is_instant = found["cursor_field"], found["_cursor_kind"] == "instant"
    sequence = table.sequence or ((cursor,) if cursor else ())
    plain = ingestion is Ingestion.APPEND
    if not plain and not keys:
        problem(f"table '{table.source}' has no key; name its columns in primary_keys")
    ordered = not plain and ingestion is not Ingestion.SNAPSHOT
    if ordered and not sequence:
        problem(f"table '{table.source}' has no order; name its columns in sequence_by")
    needed = [] if plain else [*keys, *(sequence if ordered else ())]
    try:
        columns = tuple(source.columns(options))
    except Exception as error:
        raise SpecError([Problem(table.path, f"table '{table.source}': {error}")]) from error
    asked = [*table.included, *table.excluded, *map(_whole, [*needed, *table.clustering])]
    missing = [name for name in dict.fromkeys(asked) if name not in columns]
    if missing:
        problem(
            f"table '{table.source}' has no column {', '.join(missing)}; there are:"
            f" {', '.join(columns)}"
        )
    columns = tuple(
        name
        for name in columns
        if name not in table.excluded and (not table.included or name in table.included)
    )
    for name in dict.fromkeys(map(_whole, [*needed, *table.clustering])):
        if name not in columns and name not in missing:
            problem(f"column '{name}' is key, ordering or clustering and must be written")
    reserved = [] if plain else [name for name in columns if name.startswith("__")]
    if reserved:
        problem(f"columns {', '.join(reserved)} have reserved names; exclude them")
    if ingestion is Ingestion.CDC_WITH_DELETES:
        own = {"primary_keys": tuple(found["primary_keys"] or ()), "sequence_by": (cursor,)}
        for key, asked in (("primary_keys", table.keys), ("sequence_by", table.sequence)):
            if asked and asked != own[key]:
                problem(
                    f"{key} cannot be changed: a delete of table '{table.source}' holds nothing but"
                    f" {', '.join(map(str, own[key]))}"
                )
    if table.secret_options:
        warnings.warn(
            f"{table.path}: {', '.join(table.secret_options)}: credentials belong into the"
            " connection, options are shown in plans",
            stacklevel=2,
        )
    if problems:
        raise SpecError(problems)

    return PlannedTable(
        connection=spec.connection,
        source=table.source,
        destination=table.destination,
        ingestion=ingestion,
        scd=None if plain else 2 if table.scd is ScdType.SCD_TYPE_2 else 1,
        keys=() if plain else keys,
        sequence=sequence if ordered else (),
        instants=(cursor,) if ordered and is_instant and cursor in sequence else (),
        clustering=table.clustering,
        columns=columns,
        options=options,
        tag=_tag(spec.connection, table),
    )


def _whole(name: str) -> str:
    """The column of a name that may be that of a field below it."""
    return name.split(".")[0]


def _tag(connection: str, table: TableSpec) -> str:
    """The source's name as far as every engine takes it, and a digest of what tells it apart."""
    known = [connection, table.source, *table.destination]
    digest = hashlib.sha256("\0".join(known).encode()).hexdigest()[:8]

    return re.sub(r"\W+", "_", table.source, flags=re.ASCII) + "_" + digest
