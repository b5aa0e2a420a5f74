"""Plans: what is created of a specification and of what the source says of its tables."""

import json

import pytest
from lakeflow_connect.pipelines import SpecError, parse
from lakeflow_connect.pipelines.plan import Ingestion, plan, quoted

_COLUMNS = ("id", "x", "y", "updated_at", "a", "b")
_TICKETS = {"primary_keys": ["id"], "cursor_field": "updated_at", "ingestion_type": "cdc"}


class Source:
    """A source that says what it was told of its tables, and keeps what it was asked."""

    def __init__(self, **tables: dict):
        self.tables = tables
        self.asked: list[dict] = []

    def columns(self, _) -> tuple[str, ...]:
        return _COLUMNS

    def rows(self, options) -> list[dict]:
        self.asked.append(dict(options))
        names = json.loads(options["tableNameList"])
        empty = {"primary_keys": None, "cursor_field": None, "ingestion_type": None}
        unknown = empty | {"_error": "TABLE_NOT_FOUND: unknown table"}
        told = {"_error": None, "_cursor_kind": None}

        return [{"tableName": name} | told | (self.tables.get(name) or unknown) for name in names]


def _spec(*tables: dict):
    return parse({"connection_name": "desk", "objects": [{"table": table} for table in tables]})


def _planned(table: dict, **found):
    (planned,) = plan(_spec(table), Source(t=_TICKETS | found))

    return planned


def _problems(spec, source) -> list[str]:
    with pytest.raises(SpecError) as failure:
        plan(spec, source)

    return [str(problem) for problem in failure.value.problems]


def test_what_the_source_says_is_used():
    planned = _planned({"source_table": "t"}, ingestion_type="cdc_with_deletes")

    assert planned.ingestion is Ingestion.CDC_WITH_DELETES
    assert (planned.scd, planned.keys, planned.sequence) == (1, ("id",), ("updated_at",))
    assert planned.options == {"databricks.connection": "desk", "tableName": "t"}


def test_a_source_without_a_type_has_changes():
    assert _planned({"source_table": "t"}, ingestion_type=None).ingestion is Ingestion.CDC


def test_the_specification_wins():
    configuration = {
        "scd_type": "SCD_TYPE_2",
        "primary_keys": "a,b",
        "sequence_by": ["x", "y"],
        "cluster_by": "a",
    }
    planned = _planned({"source_table": "t", "table_configuration": configuration})

    assert (planned.scd, planned.keys, planned.sequence) == (2, ("a", "b"), ("x", "y"))
    assert planned.clustering == ("a",)


def test_a_cursor_that_is_a_point_in_time_is_compared_as_one():
    def instants(**configuration) -> tuple[str, ...]:
        table = {"source_table": "t", "table_configuration": configuration}
        return _planned(table, _cursor_kind="instant").instants

    assert instants() == ("updated_at",)
    assert instants(sequence_by="x,updated_at") == ("updated_at",)
    assert instants(sequence_by="x") == instants(scd_type="APPEND_ONLY") == ()
    assert _planned({"source_table": "t"}).instants == ()


def test_append_only_keeps_every_change_as_a_row():
    configuration = {"scd_type": "append_only"}
    planned = _planned({"source_table": "t", "table_configuration": configuration})

    assert (planned.ingestion, planned.scd, planned.keys) == (Ingestion.APPEND, None, ())


def test_tables_are_asked_for_at_once_each_with_its_options():
    source = Source(a=_TICKETS, b=_TICKETS)
    one = {"source_table": "a", "table_configuration": {"region": "eu", "scd_type": "SCD_TYPE_2"}}

    plan(_spec(one, {"source_table": "b"}), source, {"sourceName": "zendesk"})

    assert source.asked == [
        {
            "sourceName": "zendesk",
            "databricks.connection": "desk",
            "tableName": "_community_table_metadata",
            "tableNameList": '["a", "b"]',
            "tableConfigs": '{"a": {"region": "eu"}, "b": {}}',
            "withErrors": "true",
            "withCursorKinds": "true",
        }
    ]


def test_a_table_that_is_listed_twice_has_the_options_of_each_entry():
    source = Source(t=_TICKETS)
    entries = [
        {
            "source_table": "t",
            "destination_table": name,
            "table_configuration": {"region": name},
        }
        for name in ("eu", "us")
    ]

    planned = plan(_spec(*entries), source)

    assert [table.options["region"] for table in planned] == ["eu", "us"]
    assert len({table.view("upsert") for table in planned}) == 2
    assert [json.loads(asked["tableConfigs"]) for asked in source.asked] == [
        {"t": {"region": "eu"}},
        {"t": {"region": "us"}},
    ]


def test_every_problem_of_every_table_is_named_at_once():
    source = Source(
        keyless=_TICKETS | {"primary_keys": None},
        unordered=_TICKETS | {"cursor_field": None},
        strange=_TICKETS | {"ingestion_type": "magic"},
        still=_TICKETS | {"ingestion_type": "snapshot"},
        ok=_TICKETS,
    )
    tables = [{"source_table": name} for name in ("keyless", "unordered", "strange", "gone")]
    tables.append({"source_table": "still", "table_configuration": {"scd_type": "APPEND_ONLY"}})
    tables.append({"source_table": "ok", "table_configuration": {"exclude_columns": "id"}})

    assert _problems(_spec(*tables), source) == [
        "objects[0].table: table 'keyless' has no key; name its columns in primary_keys",
        "objects[1].table: table 'unordered' has no order; name its columns in sequence_by",
        "objects[2].table: unknown ingestion type 'magic'",
        "objects[3].table: table 'gone': TABLE_NOT_FOUND: unknown table",
        "objects[4].table: scd_type APPEND_ONLY does not go with a snapshot table, which has no"
        " changes",
        "objects[5].table: column 'id' is key, ordering or clustering and must be written",
    ]


@pytest.mark.parametrize("key", ["primary_keys", "sequence_by"])
def test_deletes_hold_nothing_but_the_source_s_key_and_order(key):
    source = Source(t=_TICKETS | {"ingestion_type": "cdc_with_deletes"})
    table = {"source_table": "t", "table_configuration": {key: "x"}}

    (problem,) = _problems(_spec(table), source)

    assert f"{key} cannot be changed: a delete of table 't' holds nothing but" in problem


def test_an_scd_type_of_rows_that_never_change_has_no_effect():
    table = {"source_table": "t", "table_configuration": {"scd_type": "SCD_TYPE_2"}}

    with pytest.warns(UserWarning, match="has no effect on table 't'"):
        assert _planned(table, ingestion_type="append").scd is None


def test_credentials_among_the_options_are_warned_of():
    table = {"source_table": "t", "table_configuration": {"api_key": "x"}}

    with pytest.warns(UserWarning, match="api_key: credentials belong into the connection"):
        _planned(table)


def test_names_hold_whatever_a_table_is_called():
    table = {"source_table": "Überblick / a.b", "destination_schema": "s`x"}
    (planned,) = plan(_spec(table), Source(**{"Überblick / a.b": _TICKETS}))

    assert planned.name == "`s``x`.`Überblick / a.b`"
    assert planned.view("upsert").isidentifier() and planned.view("upsert").isascii()
    assert quoted("a`b") == "`a``b`"


def test_columns_are_those_that_were_asked_for():
    included = {"include_columns": "x,id,updated_at"}
    excluded = {"exclude_columns": "x,a"}

    def columns(configuration: dict) -> tuple[str, ...]:
        return _planned({"source_table": "t", "table_configuration": configuration}).columns

    assert columns({}) == _COLUMNS
    assert columns(included) == ("id", "x", "updated_at")
    assert columns(excluded) == ("id", "y", "updated_at", "b")


@pytest.mark.parametrize(
    ("key", "missing"),
    [
        ("primary_keys", "nope"),
        ("sequence_by", "nope"),
        ("cluster_by", "nope"),
        # Whole columns are left out, no fields of theirs.
        ("include_columns", "nope, updated_at.deep"),
        ("exclude_columns", "nope, updated_at.deep"),
    ],
)
def test_columns_that_do_not_exist_are_named_with_those_that_do(key, missing):
    table = {"source_table": "t", "table_configuration": {key: "id,nope,updated_at.deep"}}

    assert _problems(_spec(table), Source(t=_TICKETS))[0] == (
        f"objects[0].table: table 't' has no column {missing}; there are: id, x, y, updated_at, a,"
        " b"
    )


def test_a_column_that_clusters_must_be_written():
    configuration = {"cluster_by": "x", "exclude_columns": "x"}
    table = {"source_table": "t", "table_configuration": configuration}

    assert _problems(_spec(table), Source(t=_TICKETS)) == [
        "objects[0].table: column 'x' is key, ordering or clustering and must be written"
    ]


def test_a_table_whose_columns_nobody_can_tell_is_a_problem_of_its_own():
    source = Source(t=_TICKETS)
    source.columns = lambda _: 1 / 0

    assert _problems(_spec({"source_table": "t"}), source) == [
        "objects[0].table: table 't': division by zero"
    ]


def test_failing_tables_are_left_out_if_asked():
    spec = _spec({"source_table": "gone"}, {"source_table": "t"})

    with pytest.warns(UserWarning, match="left out: objects.0..table: table 'gone'"):
        (planned,) = plan(spec, Source(t=_TICKETS), skip_failing=True)
    assert planned.source == "t"
