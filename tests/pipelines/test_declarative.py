"""What is declared to pipeline engines, and what is refused before anything is."""

import pytest
from lakeflow_connect.pipelines import SpecError
from lakeflow_connect.pipelines.declarative import DatabricksBackend, SparkPipelinesBackend
from lakeflow_connect.pipelines.plan import Ingestion, PlannedTable
from pipelines.fake_dlt import FakeDlt


def _table(ingestion: Ingestion, scd=1, **more) -> PlannedTable:
    plain = ingestion is Ingestion.APPEND
    ordered = ingestion in (Ingestion.CDC, Ingestion.CDC_WITH_DELETES)
    values = {
        "source": "t",
        "destination": ("d",),
        "ingestion": ingestion,
        "scd": None if plain else scd,
        "keys": () if plain else ("id",),
        "sequence": ("at",) if ordered else (),
        "clustering": (),
        "columns": ("id", "at"),
        "options": {"tableName": "t", "SliceStore": "/slices"},
        "tag": "t_1",
    }

    return PlannedTable(**values | more)


def _declared(*tables: PlannedTable) -> FakeDlt:
    dlt = FakeDlt()
    DatabricksBackend(None, dlt).define(tables)

    return dlt


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
            "deletes": False,
        }
    }


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
