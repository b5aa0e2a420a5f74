"""What is declared to pipeline engines, and what is refused before anything is."""

from dataclasses import dataclass, replace

import pytest
from lakeflow_connect.pipelines import SpecError
from lakeflow_connect.pipelines.declarative import DatabricksBackend, SparkPipelinesBackend
from lakeflow_connect.pipelines.plan import Ingestion, PlannedTable
from pipelines.fake_dlt import FakeDlt


def _table(ingestion: Ingestion, scd=1, **more) -> PlannedTable:
    plain = ingestion is Ingestion.APPEND
    ordered = ingestion in (Ingestion.CDC, Ingestion.CDC_WITH_DELETES)
    values = {
        "connection": "c",
        "source": "t",
        "destination": ("d",),
        "ingestion": ingestion,
        "scd": None if plain else scd,
        "keys": () if plain else ("id",),
        "sequence": ("at",) if ordered else (),
        "instants": (),
        "clustering": (),
        "columns": ("id", "at"),
        "options": {"tableName": "t", "SliceStore": "/slices"},
        "tag": "t_1",
    }

    return PlannedTable(**values | more)


def _declared(*tables: PlannedTable, spark=None) -> FakeDlt:
    dlt = FakeDlt()
    DatabricksBackend(spark, dlt).define(tables)

    return dlt


class FakeSpark:
    """A session that shows how it was read from, and reads nothing."""

    @property
    def read(self):
        return FakeReader("batch")

    @property
    def readStream(self):  # noqa: N802
        return FakeReader("stream")


@dataclass(frozen=True)
class FakeReader:
    """A reader, and the frame that it becomes.

    Attributes:
        how: `batch` or `stream`.
        told: what it was told so far, in order.
    """

    how: str
    told: tuple = ()

    def format(self, name):
        return self._and("format", name)

    def options(self, **options):
        return self._and("options", options)

    def load(self):
        return self._and("load")

    def selectExpr(self, *columns):  # noqa: N802
        return self._and("selectExpr", *columns)

    def _and(self, *told):
        return replace(self, told=(*self.told, told))


def _query(how: str, options: dict, *columns: str) -> FakeReader:
    told = (
        ("format", "lakeflow_connect"),
        ("options", options),
        ("load",),
        ("selectExpr", *columns),
    )

    return FakeReader(how, told)


@pytest.mark.parametrize("scd", [1, 2])
def test_changes_are_one_view_and_one_flow(scd):
    dlt = _declared(_table(Ingestion.CDC, scd))

    assert dlt.tables == {"d": {"cluster_by": None}}
    assert list(dlt.views) == ["source_t_1_upsert"]
    assert dlt.flows == {
        "d": {
            "kind": "changes",
            "target": "d",
            "source": "source_t_1_upsert",
            "keys": ["id"],
            "sequence_by": "at",
            "scd": scd,
            "apply_as_deletes": None,
            "except_column_list": None,
        }
    }


@pytest.mark.parametrize("scd", [1, 2])
def test_deletes_are_a_view_and_a_flow_of_their_own(spark, scd):
    dlt = _declared(_table(Ingestion.CDC_WITH_DELETES, scd))

    assert dlt.tables == {"d": {"cluster_by": None}}
    assert list(dlt.views) == ["source_t_1_upsert", "source_t_1_delete"]
    assert list(dlt.flows) == ["d", "source_t_1_delete_flow"]
    upserts, deletes = dlt.flows.values()
    applied = deletes.pop("apply_as_deletes")
    assert upserts.pop("apply_as_deletes") is None
    assert [row[0] for row in spark.range(2).select(applied).collect()] == [True, True]
    same = {"kind": "changes", "target": "d", "keys": ["id"], "sequence_by": "at", "scd": scd}
    same["except_column_list"] = None
    assert upserts == same | {"source": "source_t_1_upsert"}
    assert deletes == same | {"source": "source_t_1_delete"}


#: Sequence and instants of a table, and its rows in that order.
_ORDERS = [
    (("at",), (), [1, 2, 3]),
    (("at",), ("at",), [3, 1, 2]),
    (("day", "at"), (), [1, 2, 3]),
    (("day", "at"), ("at",), [1, 3, 2]),
    (("s.day", "at"), (), [3, 1, 2]),
]


@pytest.mark.parametrize(("sequence", "instants", "expected"), _ORDERS)
def test_rows_of_a_view_are_in_the_order_of_its_flow(spark, sequence, instants, expected):
    columns = ("id", "day", "at", "s")
    table = _table(
        Ingestion.CDC_WITH_DELETES, sequence=sequence, instants=instants, columns=columns
    )
    dlt = _declared(table, spark=FakeSpark())
    rows = [
        (1, "a", "2026-01-01T09:30:00Z", (2,)),
        (2, "b", "2026-01-01T10:00:00+00:00", (3,)),
        (3, "b", "2026-01-01T11:00:00+02:00", (1,)),
    ]
    frame = spark.createDataFrame(rows, "id INT, day STRING, at STRING, s STRUCT<day: INT>")

    assert len(dlt.flows) == 2
    for flow in dlt.flows.values():
        (_, *selected) = dlt.views[flow["source"]]().told[-1]
        view = frame.selectExpr(*selected)
        order = flow["sequence_by"]
        assert [row.id for row in view.orderBy(order).collect()] == expected
        assert view.drop(*(flow["except_column_list"] or ())).columns == list(columns)


def test_what_is_no_instant_is_null_and_no_failure(spark):
    dlt = _declared(_table(Ingestion.CDC, instants=("at",)), spark=FakeSpark())
    (_, *selected) = dlt.views["source_t_1_upsert"]().told[-1]
    frame = spark.createDataFrame([(1, "soon"), (2, None)], "id INT, at STRING")

    assert frame.selectExpr(*selected).where("__instant0 IS NULL").count() == 2


def test_plain_rows_are_one_flow():
    dlt = _declared(_table(Ingestion.APPEND))

    assert (dlt.views, list(dlt.flows)) == ({}, ["source_t_1_append_flow"])
    assert dlt.flows["source_t_1_append_flow"]["target"] == "d"


@pytest.mark.parametrize("scd", [1, 2])
def test_snapshots_are_compared(scd):
    dlt = _declared(_table(Ingestion.SNAPSHOT, scd))

    expected = {"kind": "snapshot", "target": "d", "source": "source_t_1_snapshot"}
    assert dlt.flows == {"d": expected | {"keys": ["id"], "scd": scd}}


def test_names_of_three_parts_are_quoted_and_clustering_is_passed_on():
    table = _table(Ingestion.APPEND, destination=("main", "raw", "a`b"), clustering=("id", "x"))

    assert _declared(table).tables == {"`main`.`raw`.`a``b`": {"cluster_by": ["id", "x"]}}


@pytest.mark.parametrize(("name", "target"), [("t1", "t1"), ("my-table", "`my-table`")])
def test_a_name_alone_is_quoted_where_it_must_be(name, target):
    assert list(_declared(_table(Ingestion.APPEND, destination=(name,))).tables) == [target]


def test_rows_that_would_come_again_are_warned_of():
    with pytest.warns(UserWarning, match="tables t: rows within the lookback are appended again"):
        _declared(_table(Ingestion.APPEND, options={"tableName": "t"}))


def test_the_older_names_of_the_functions_will_do():
    class OldDlt(FakeDlt):
        apply_changes = FakeDlt.create_auto_cdc_flow
        apply_changes_from_snapshot = FakeDlt.create_auto_cdc_from_snapshot_flow
        create_auto_cdc_flow = None
        create_auto_cdc_from_snapshot_flow = None

    dlt = OldDlt()
    tables = [_table(Ingestion.CDC), _table(Ingestion.SNAPSHOT, destination=("e",), tag="t_2")]
    DatabricksBackend(None, dlt).define(tables)

    assert list(dlt.flows) == ["d", "e"]


@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize("ingestion", Ingestion)
def test_views_and_flows_read_what_is_written(ingestion):
    options = {"tableName": "t", "SliceStore": "/slices", "per_page": "7"}
    table = _table(ingestion, columns=("id", "at", "a`b", "c.d"), options=options)
    dlt = _declared(table, spark=FakeSpark())
    queries = dlt.views | {n: f["query"] for n, f in dlt.flows.items() if "query" in f}

    def read(how: str, **more: str) -> FakeReader:
        return _query(how, options | more, "`id`", "`at`", "`a``b`", "`c.d`")

    changes = {"source_t_1_upsert": read("stream")}
    assert {name: query() for name, query in queries.items()} == {
        Ingestion.APPEND: {"source_t_1_append_flow": read("stream")},
        Ingestion.SNAPSHOT: {"source_t_1_snapshot": read("batch")},
        Ingestion.CDC: changes,
        Ingestion.CDC_WITH_DELETES: changes
        | {"source_t_1_delete": read("stream", isDeleteFlow="true")},
    }[ingestion]


@pytest.mark.usefixtures("spark")
def test_queries_of_two_tables_are_not_mixed_up():
    tables = [
        _table(Ingestion.CDC_WITH_DELETES, destination=(name,), options={"n": name}, tag=name)
        for name in ("a", "b")
    ]
    views = _declared(*tables, spark=FakeSpark()).views

    read = {name: query().told[1][1] for name, query in views.items()}
    assert read == {
        "source_a_upsert": {"n": "a"},
        "source_a_delete": {"n": "a", "isDeleteFlow": "true"},
        "source_b_upsert": {"n": "b"},
        "source_b_delete": {"n": "b", "isDeleteFlow": "true"},
    }


def test_what_needs_merges_is_refused_before_anything_is_declared():
    tables = [
        _table(Ingestion.APPEND),
        _table(Ingestion.CDC, source="a"),
        _table(Ingestion.CDC_WITH_DELETES, source="b"),
        _table(Ingestion.SNAPSHOT, 2, source="c"),
        _table(Ingestion.SNAPSHOT, 1, source="ok"),
    ]

    with pytest.raises(SpecError) as failure:
        SparkPipelinesBackend(None, None).define(tables)

    *refused, advice = map(str, failure.value.problems)
    assert refused == [
        "table 'a' (changes by key)",
        "table 'b' (changes and deletes by key)",
        "table 'c' (history of snapshots)",
    ]
    assert "lakeflow_connect.ingest(spark, spec, checkpoints=...)" in advice
