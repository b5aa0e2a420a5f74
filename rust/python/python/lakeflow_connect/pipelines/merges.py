"""How changes become rows of a table, as Spark DataFrames; writing them is the caller's.

Every function gives the same result when its batch comes again, whatever of it was written before.
Beside a source's columns there are those of [`Change`], by which rows are told apart and ordered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .plan import quoted

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import DataType, StructField, StructType

#: Place of an event in its micro-batch: of two with equal sequence the later one wins.
ORDER = "__order"
#: Whether an event is a delete, or a version is to be removed.
DELETED = "__deleted"
#: The sequence as one value; a struct, so that nulls compare as the lowest.
SEQUENCE = "__sequence"
#: When a version began and ended to hold; an open end is null.
START, END = "__START_AT", "__END_AT"


@dataclass(frozen=True)
class Change:
    """By what rows are told apart and ordered.

    Attributes:
        keys: columns that identify a row.
        sequence: columns that order the versions of a row.
        instants: those of them that are compared as points in time.
    """

    keys: Sequence[str]
    sequence: Sequence[str] = ()
    instants: Sequence[str] = ()

    @property
    def key_names(self) -> list[str]:
        """The columns `__key0`, … that hold the keys' values."""
        return [f"__key{number}" for number in range(len(self.keys))]

    def marked(self, rows: DataFrame) -> DataFrame:
        """`rows` with keys and sequence under names of their own."""
        from pyspark.sql import functions as f

        marks = {name: f.col(path(key)) for name, key in zip(self.key_names, self.keys)}
        if self.sequence:
            marks[SEQUENCE] = f.struct(
                *(f.expr(self.ordered(name)).alias(f"_{n}") for n, name in enumerate(self.sequence))
            )

        return rows.select("*", *(column.alias(name) for name, column in marks.items()))

    def ordered(self, name: str, alias: str = "") -> str:
        """A column of the sequence, in SQL, as it is compared."""
        column = f"{alias}.{path(name)}" if alias else path(name)

        return instant(column) if name in self.instants else column

    @property
    def begin(self) -> Column:
        """When a marked version began: its sequence, a struct if that has several columns."""
        from pyspark.sql import functions as f

        return f.col(SEQUENCE) if len(self.sequence) > 1 else f.col(f"{SEQUENCE}._0")

    @property
    def end(self) -> Column:
        """When a version of the table ended, in the form of a sequence."""
        from pyspark.sql import functions as f

        return f.col(END) if len(self.sequence) > 1 else f.struct(f.col(END).alias("_0"))

    def same(self, one: str, other: str) -> str:
        """The condition that two aliases have one key."""
        return " AND ".join(f"{one}.{name} <=> {other}.{name}" for name in self.key_names)


def events(batch: DataFrame, columns: Sequence[str], change: Change) -> DataFrame:
    """The events of a micro-batch: `columns`, marks, [`ORDER`] and [`DELETED`]."""
    from pyspark.sql import functions as f

    feed = "_change_type" in batch.columns
    deleted = f.col("_change_type") == "delete" if feed else f.lit(False)
    picked = batch.select(
        *(f.col(quoted(name)) for name in columns),
        f.monotonically_increasing_id().alias(ORDER),
        deleted.alias(DELETED),
    )

    return change.marked(picked)


def latest(found: DataFrame, change: Change) -> DataFrame:
    """The last event of each key; a delete comes after upserts of the same sequence."""
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    order = [f.col(name).desc() for name in (SEQUENCE, DELETED, ORDER) if name in found.columns]
    window = Window.partitionBy(*change.key_names).orderBy(*order)

    return found.withColumn("__n", f.row_number().over(window)).where("__n = 1").drop("__n")


def without_deleted(found: DataFrame, deletes: DataFrame, change: Change) -> DataFrame:
    """Events but for upserts that are not younger than a known delete of their key."""
    from pyspark.sql import functions as f

    condition = (
        f"NOT event.{DELETED} AND {change.same('known', 'event')}"
        f" AND known.{SEQUENCE} >= event.{SEQUENCE}"
    )

    return found.alias("event").join(deletes.alias("known"), f.expr(condition), "left_anti")


def history(
    found: DataFrame,
    existing: DataFrame,
    deletes: DataFrame,
    columns: Sequence[str],
    change: Change,
) -> DataFrame:
    """The versions of every key that has an event, made anew from all that is known of it.

    Args:
        found: events of the micro-batch.
        existing: versions that the table has.
        deletes: marks of every delete that is known, those of the batch included.
        columns: columns of the source that are written.
        change: by what rows are told apart and ordered.

    Returns:
        `columns`, marks, [`START`], [`END`] and [`DELETED`], which is set for versions that held
        for no time.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    touched = found.select(*change.key_names).distinct()

    def of_touched(rows: DataFrame) -> DataFrame:
        same = f.expr(change.same("row", "touched"))
        return rows.alias("row").join(touched.alias("touched"), same, "left_semi")

    kept = [*(f.col(quoted(name)) for name in columns), *change.key_names, SEQUENCE]
    known = of_touched(change.marked(existing))
    old = known.select(*kept, f.lit(-1).alias(ORDER))
    upserts = found.where(f"NOT {DELETED}").select(*kept, ORDER)
    one = Window.partitionBy(*change.key_names, SEQUENCE).orderBy(f.col(ORDER).desc())
    versions = old.unionByName(upserts).withColumn("__n", f.row_number().over(one))
    versions = versions.where("__n = 1").select(*kept, f.lit(False).alias(DELETED))
    # An end at which no version begins is a delete, although nobody may know of that any more.
    ended = known.where(f"{END} IS NOT NULL").select(*change.key_names, change.end.alias(SEQUENCE))
    same = f.expr(f"{change.same('ended', 'begun')} AND ended.{SEQUENCE} = begun.{SEQUENCE}")
    ended = ended.alias("ended").join(old.alias("begun"), same, "left_anti")
    ends = of_touched(deletes).select(*change.key_names, SEQUENCE).unionByName(ended)
    ends = ends.withColumn(DELETED, f.lit(True))
    timeline = versions.unionByName(ends, allowMissingColumns=True)
    along = Window.partitionBy(*change.key_names).orderBy(f.col(SEQUENCE), f.col(DELETED))
    spans = timeline.withColumn(START, change.begin).withColumn(
        END, f.lead(change.begin).over(along)
    )
    empty = f.expr(f"{START} <=> {END} AND {END} IS NOT NULL")

    return spans.where(f"NOT {DELETED}").withColumn(DELETED, empty)


def snapshot_history(
    found: DataFrame, existing: DataFrame, columns: Sequence[str], change: Change, at: Column
) -> DataFrame:
    """What a snapshot, as marked rows, changes: versions to close and to open at the time `at`,
    which must be after all that the table has.

    Returns:
        `columns`, marks, [`START`], [`END`] and [`DELETED`], which is set for those to close.
    """
    from pyspark.sql import functions as f

    old = change.marked(existing.where(f"{END} IS NULL"))
    content = found.select(*map(quoted, columns)).schema
    same = f.expr(f"{change.same('one', 'other')} AND {unchanged('one', 'other', content)}")
    opened = found.alias("one").join(old.alias("other"), same, "left_anti")
    closed = old.alias("one").join(found.alias("other"), same, "left_anti")
    kept = [*(f.col(quoted(name)) for name in columns), *change.key_names]
    opened = opened.select(
        *kept,
        at.alias(START),
        f.lit(None).cast("timestamp").alias(END),
        f.lit(False).alias(DELETED),
    )
    closed = closed.select(*kept, START, at.alias(END), f.lit(True).alias(DELETED))

    return opened.unionByName(closed)


def unchanged(one: str, other: str, columns: StructType) -> str:
    """The condition that two aliases have equal values in `columns`."""

    def value(alias: str, field: StructField) -> str:
        return _comparable(f"{alias}.{quoted(field.name)}", field.dataType)

    return " AND ".join(f"{value(one, c)} <=> {value(other, c)}" for c in columns.fields)


def _comparable(value: str, kind: DataType, depth: int = 0) -> str:
    """A value as SQL can compare it, which knows no equality of maps and variants."""
    from pyspark.sql.types import ArrayType, MapType, StructType

    each = f"e{depth}"
    if _is_comparable(kind):
        return value
    if isinstance(kind, StructType):
        fields = (
            _comparable(f"{value}.{quoted(field.name)}", field.dataType, depth)
            for field in kind.fields
        )
        return f"if({value} IS NULL, NULL, struct({', '.join(fields)}))"
    if isinstance(kind, ArrayType):
        return f"transform({value}, {each} -> {_comparable(each, kind.elementType, depth + 1)})"
    if isinstance(kind, MapType):
        entry = f"struct({each}.key, {_comparable(f'{each}.value', kind.valueType, depth + 1)})"
        return f"array_sort(transform(map_entries({value}), {each} -> {entry}))"

    return f"to_json({value})"


def _is_comparable(kind: DataType) -> bool:
    from pyspark.sql.types import ArrayType, MapType, StructType

    if isinstance(kind, StructType):
        return all(_is_comparable(field.dataType) for field in kind.fields)
    if isinstance(kind, ArrayType):
        return _is_comparable(kind.elementType)

    return not isinstance(kind, MapType) and kind.typeName() != "variant"


def aligned(column: Column, kind: DataType, wanted: DataType) -> Column:
    """A value with the fields of `wanted`, in their order; those that it lacks are null."""
    from pyspark.sql import functions as f
    from pyspark.sql.types import ArrayType, MapType, StructType

    if kind == wanted:
        return column
    if isinstance(kind, StructType) and isinstance(wanted, StructType):
        known = {field.name.lower(): field for field in kind.fields}
        fields = []
        for field in wanted.fields:
            has = known.get(field.name.lower())
            value = f.lit(None).cast(field.dataType)
            if has is not None:
                value = aligned(column.getField(has.name), has.dataType, field.dataType)
            fields.append(value.alias(field.name))
        return f.when(column.isNotNull(), f.struct(*fields))
    if isinstance(kind, ArrayType) and isinstance(wanted, ArrayType):
        return f.transform(column, lambda e: aligned(e, kind.elementType, wanted.elementType))
    if isinstance(kind, MapType) and isinstance(wanted, MapType):
        return f.transform_values(
            column, lambda _, value: aligned(value, kind.valueType, wanted.valueType)
        )

    return column


def instant(column: str) -> str:
    """A text or timestamp as a point in time, in SQL; null for a text that is none."""
    return f"try_cast({column} AS TIMESTAMP_LTZ)"


def path(name: str) -> str:
    """A column, or a field below it, as SQL writes it."""
    return ".".join(map(quoted, name.split(".")))
