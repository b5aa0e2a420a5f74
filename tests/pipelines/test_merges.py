"""Rules of merges that random histories do not reach: ties in one batch, nulls, fields, quotes."""

import pytest
from lakeflow_connect.pipelines import merges
from lakeflow_connect.pipelines.merges import Change
from pyspark.sql import functions
from pyspark.sql.types import IntegerType, MapType, StringType, StructField, StructType

_COLUMNS = "`key` STRING, `at` INT, `value` STRING, _change_type STRING"


def _found(spark, *rows: tuple, change: Change):
    frame = spark.createDataFrame([(*row, "insert")[:4] for row in rows], _COLUMNS)

    return merges.events(frame.coalesce(1), ["key", "at", "value"], change)


@pytest.fixture
def change():
    """Keys and order of these tests' rows."""
    return Change(("key",), ("at",))


def _latest(spark, *rows: tuple, change: Change) -> list[str]:
    found = merges.latest(_found(spark, *rows, change=change), change)

    return sorted(f"{row.key} {row.value} {row[merges.DELETED]}" for row in found.collect())


def test_of_equal_sequence_the_later_row_counts(spark, change):
    rows = [("k", 1, "first"), ("k", 1, "second"), ("k", 0, "late"), ("j", None, "unordered")]

    assert _latest(spark, *rows, change=change) == ["j unordered False", "k second False"]


def test_a_delete_comes_after_versions_of_its_sequence(spark, change):
    rows = [("k", 1, None, "delete"), ("k", 1, "tie"), ("j", 1, None, "delete"), ("j", 2, "again")]

    assert _latest(spark, *rows, change=change) == ["j again False", "k None True"]


def test_a_version_without_sequence_is_older_than_any(spark, change):
    assert _latest(spark, ("k", 0, "known"), ("k", None, "?"), change=change) == ["k known False"]


def test_a_sequence_of_several_columns_is_compared_from_the_left(spark):
    change = Change(("key",), ("at", "value"))
    rows = [("k", 1, "b"), ("k", 2, "a"), ("k", 2, None), ("j", 1, "a"), ("j", 1, "b")]

    assert _latest(spark, *rows, change=change) == ["j b False", "k a False"]


def test_a_null_is_a_key_like_any(spark, change):
    rows = [(None, 1, "old"), (None, 2, "new"), ("k", 1, "other")]

    assert _latest(spark, *rows, change=change) == ["None new False", "k other False"]


def test_versions_not_younger_than_a_known_delete_are_dropped(spark, change):
    found = _found(
        spark, ("k", 1, "old"), ("k", 2, "tie"), ("k", 3, "new"), ("j", 1, "a"), change=change
    )
    deletes = _found(spark, ("k", 2, None, "delete"), change=change)
    left = merges.without_deleted(found, deletes, change)

    assert sorted(row.value for row in left.collect()) == ["a", "new"]


def test_keys_and_sequence_may_be_fields_with_any_name(spark):
    frame = spark.sql(
        "SELECT named_struct('i`d', 1, 'at', 5) AS `s x`, 'old' AS value UNION ALL "
        "SELECT named_struct('i`d', 1, 'at', 7), 'new'"
    )
    change = Change(("s x.i`d",), ("s x.at",))
    found = merges.latest(merges.events(frame, ["s x", "value"], change), change)

    assert [row.value for row in found.collect()] == ["new"]


def test_a_history_is_made_anew_whatever_is_late(spark, change):
    existing = spark.createDataFrame(
        [("k", 1, "a", 1, 5), ("k", 5, "c", 5, None), ("j", 1, "x", 1, None)],
        "key STRING, at INT, value STRING, __START_AT INT, __END_AT INT",
    )
    found = _found(spark, ("k", 3, "b"), ("k", 3, "b2"), ("k", 5, "c2"), change=change)
    deletes = _found(spark, ("k", 4, None, "delete"), change=change)
    rows = merges.history(found, existing, deletes, ["key", "at", "value"], change).collect()

    spans = {(r.value, r[merges.START], r[merges.END]) for r in rows if not r[merges.DELETED]}
    assert spans == {("a", 1, 3), ("b2", 3, 4), ("c2", 5, None)}
    assert {row.key for row in rows} == {"k"}


def test_an_end_that_was_a_delete_holds_when_the_delete_is_forgotten(spark, change):
    existing = spark.createDataFrame(
        [("k", 1, "a", 1, 3), ("k", 3, "b", 3, 5)],
        "key STRING, at INT, value STRING, __START_AT INT, __END_AT INT",
    )
    found = _found(spark, ("k", 9, "c"), change=change)
    nothing = found.where(merges.DELETED)
    rows = merges.history(found, existing, nothing, ["key", "at", "value"], change).collect()

    spans = {(r.value, r[merges.START], r[merges.END]) for r in rows}
    assert spans == {("a", 1, 3), ("b", 3, 5), ("c", 9, None)}


def test_values_take_the_fields_of_the_table_at_any_depth(spark):
    frame = spark.sql(
        "SELECT named_struct('c', 'see', 'A', 'ay') AS s, array(named_struct('b', 2, 'a', 1)) AS l,"
        " map('k', named_struct('b', 2)) AS m, CAST(NULL AS STRUCT<b: INT, a: INT>) AS n"
    )
    deep = "STRUCT<a: INT, b: INT>"
    wanted = spark.createDataFrame(
        [],
        f"s STRUCT<A: STRING, `b.x`: INT, c: STRING>, l ARRAY<{deep}>, m MAP<STRING, {deep}>,"
        f" n {deep}",
    ).schema
    aligned = frame.select(
        *(
            merges.aligned(frame[name], frame.schema[name].dataType, wanted[name].dataType)
            for name in frame.columns
        )
    )

    (row,) = aligned.collect()
    assert tuple(row[0]) == ("ay", None, "see")
    assert [tuple(element) for element in row[1]] == [(1, 2)]
    assert {key: tuple(value) for key, value in row[2].items()} == {"k": (None, 2)}
    assert row[3] is None


def test_a_value_is_unchanged_only_if_it_is_equal_to_the_last_digit(spark):
    kinds = {
        "number": ("0.1D", "0.2D"),
        "time": ("timestamp'2026-01-01 00:00:00.000001'", "timestamp'2026-01-01 00:00:00.000002'"),
        "absent": ("CAST(NULL AS STRUCT<m: MAP<STRING, INT>>)", "named_struct('m', map('k', 1))"),
        "empty": ("array(CAST(NULL AS INT))", "CAST(array() AS ARRAY<INT>)"),
        "pairs": ("map('a', 1, 'b', 2)", "map('a', 1, 'b', 3)"),
        "deep": ("array(map('a', map('b', array(1))))", "array(map('a', map('b', array(2))))"),
    }
    if hasattr(functions, "parse_json"):
        kinds["any"] = ("""parse_json('{"a": 1}')""", """parse_json('{"a": 2}')""")
    columns = ", ".join(
        f"{value} AS `{name} {n}`" for name, p in kinds.items() for n, value in enumerate(p)
    )
    schema = spark.sql(f"SELECT {columns}").schema
    for name in kinds:
        fields = StructType([StructField(name, schema[f"{name} 0"].dataType)])
        picked = ", ".join(
            f"struct(`{name} {n}` AS `{name}`) AS {alias}"
            for n, alias in enumerate(("one", "other"))
        )
        frame = spark.sql(f"SELECT {picked} FROM (SELECT {columns})")
        equal, differ = (merges.unchanged("one", other, fields) for other in ("one", "other"))

        assert frame.selectExpr(equal, differ).collect() == [(True, False)], name


def test_pairs_of_a_map_have_no_order(spark):
    frame = spark.sql(
        "SELECT struct(map('a', 1, 'b', 2) AS m) AS one, struct(map('b', 2, 'a', 1) AS m) AS other"
    )
    content = StructType([StructField("m", MapType(StringType(), IntegerType()))])

    assert frame.selectExpr(merges.unchanged("one", "other", content)).collect() == [(True,)]


def test_a_history_is_its_own_result(spark, change):
    found = _found(spark, ("k", 1, "a"), ("k", 2, "b"), ("k", 2, None, "delete"), change=change)
    deletes = found.where(merges.DELETED)
    nothing = "key STRING, at INT, value STRING, __START_AT INT, __END_AT INT"
    existing = spark.createDataFrame([], nothing)
    columns = ["key", "at", "value"]

    def held(existing):
        rows = merges.history(found, existing, deletes, columns, change).collect()
        spans = [(*row[:3], row[merges.START], row[merges.END]) for row in rows]
        return {span for span, row in zip(spans, rows) if not row[merges.DELETED]}

    first = held(existing)
    assert first == {("k", 1, "a", 1, 2)}
    assert held(spark.createDataFrame(list(first), nothing)) == first
