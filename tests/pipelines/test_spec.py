"""Pipeline specifications: what is accepted, and every problem named at once."""

import pickle

import pytest
from lakeflow_connect import LakeflowError
from lakeflow_connect.pipelines import ScdType, SpecError, TableSpec, parse


def _spec(*tables: dict, **more) -> dict:
    return {"connection_name": "desk", "objects": [{"table": table} for table in tables]} | more


def _table(**configuration) -> dict:
    return {"source_table": "tickets", "table_configuration": configuration}


def _problems(spec) -> list[str]:
    with pytest.raises(SpecError) as failure:
        parse(spec)

    assert str(failure.value).startswith("[CONFIG_INVALID] ")
    return [str(problem) for problem in failure.value.problems]


def _parsed(**configuration) -> TableSpec:
    return parse(_spec(_table(**configuration))).tables[0]


def test_a_short_specification_leaves_the_rest_to_the_source():
    spec = parse(_spec({"source_table": "tickets"}))

    assert spec.connection == "desk"
    assert spec.tables == (TableSpec("objects[0].table", "tickets", ("tickets",)),)


def test_a_whole_specification_is_read():
    table = {
        "source_table": "agents",
        "destination_catalog": "main",
        "destination_schema": "desk_raw",
        "destination_table": "agents_history",
        "table_configuration": {
            "scd_type": " scd_type_2",
            "primary_keys": ["id"],
            "sequence_by": "updated_at",
            "cluster_by": "id, region",
            "exclude_columns": '["photo"]',
            "region": "eu",
            "max_records_per_batch": 500,
            "active": True,
            "tags": ["a", 1],
            "nothing": None,
        },
    }

    assert parse(_spec(table)).tables == (
        TableSpec(
            path="objects[0].table",
            source="agents",
            destination=("main", "desk_raw", "agents_history"),
            scd=ScdType.SCD_TYPE_2,
            keys=("id",),
            sequence=("updated_at",),
            clustering=("id", "region"),
            excluded=("photo",),
            options={
                "region": "eu",
                "max_records_per_batch": "500",
                "active": "true",
                "tags": '["a", 1]',
            },
        ),
    )


@pytest.mark.parametrize(
    "given, names",
    [
        ("a,b", ("a", "b")),
        (" a , b ", ("a", "b")),
        (["a", "b"], ("a", "b")),
        ('["a", "b,c"]', ("a", "b,c")),
        ("", ()),
        ([], ()),
        (None, ()),
    ],
)
def test_names_are_read_alike_wherever_they_stand(given, names):
    keys = ("primary_keys", "sequence_by", "cluster_by", "include_columns")
    table = _parsed(**dict.fromkeys(keys, given))

    assert (table.keys, table.sequence, table.clustering, table.included) == (names,) * 4


@pytest.mark.parametrize(
    "given, message",
    [
        ("[a", "must be a JSON list or names with commas, got '[a'"),
        ("[1]", "must be a list of strings"),
        ("a,,b", "must not have a blank name"),
        ("a,a", "names a twice"),
    ],
)
def test_names_that_are_none_are_refused(given, message):
    path = "objects[0].table.table_configuration.primary_keys"

    assert _problems(_spec(_table(primary_keys=given))) == [f"{path}: {message}"]


@pytest.mark.parametrize("kind", ["SCD_TYPE_3", "1", "", "APPEND"])
def test_an_unknown_scd_type_is_named_with_those_that_there_are(kind):
    assert _problems(_spec(_table(scd_type=kind))) == [
        "objects[0].table.table_configuration.scd_type: must be one of SCD_TYPE_1, SCD_TYPE_2,"
        f" APPEND_ONLY, got {kind!r}"
    ]


@pytest.mark.parametrize(
    "name", ["tableName", "TABLENAME", "isDeleteFlow", "operation", "databricks.connection"]
)
def test_what_the_pipeline_sets_itself_cannot_be_given(name):
    assert _problems(_spec(_table(**{name: "x"}))) == [
        f"objects[0].table.table_configuration.{name}: is set by the pipeline itself; leave it out"
    ]


def test_a_key_of_the_pipeline_in_other_case_is_no_option():
    assert _problems(_spec(_table(SCD_TYPE="SCD_TYPE_2"))) == [
        "objects[0].table.table_configuration.SCD_TYPE: is written scd_type"
    ]


def test_every_problem_is_named_at_once():
    spec = _spec(
        {"source_table": " "},
        {"source_table": "a", "source_schema": "x"},
        _table(scd_type="x"),
        connection_name="",
        extra=1,
    )

    found = _problems(spec)

    assert len(found) == 5
    for part in (
        "connection_name: must not be blank",
        "objects[0].table.source_table: must not be blank",
        "objects[1].table: Additional properties are not allowed ('source_schema' was unexpected)",
        "objects[2].table.table_configuration.scd_type: must be one of",
        "Additional properties are not allowed ('extra' was unexpected)",
    ):
        assert any(part in problem for problem in found), part


def test_problems_of_the_form_hide_no_others():
    spec = _spec(_table(scd_type="x"), _table(tableName="u"), _table(primary_keys="a,,b"))

    form, name, keys = _problems(spec)
    assert form.startswith("objects[0].table.table_configuration.scd_type: must be one of")
    assert name.startswith("objects[1].table.table_configuration.tableName: is set by")
    assert keys.startswith("objects[2].table.table_configuration.primary_keys: must not have")


def test_a_specification_with_problems_is_an_error_of_the_library():
    with pytest.raises(LakeflowError) as failure:
        parse([])

    copy = pickle.loads(pickle.dumps(failure.value))
    assert (copy.code, str(copy)) == ("CONFIG_INVALID", str(failure.value))
    assert copy.problems == failure.value.problems


@pytest.mark.parametrize(
    "spec, message",
    [
        ([], "must be object, got list"),
        ({"connection_name": "c", "objects": []}, "objects: must have at least one entry"),
        ({"connection_name": "c", "objects": [{}]}, "objects[0]: 'table' is a required property"),
        ({"objects": [{"table": {"source_table": "t"}}]}, "'connection_name' is a required"),
        (_spec({"source_table": 1}), "objects[0].table.source_table: must be string, got int"),
        (
            # Encoded twice, with what may be a secret.
            _spec({"source_table": "t", "table_configuration": '{"token": "x"}'}),
            "objects[0].table.table_configuration: must be object or null, got str",
        ),
    ],
)
def test_another_form_is_refused(spec, message):
    (problem,) = _problems(spec)

    assert message in problem and "token" not in problem


@pytest.mark.parametrize(
    "given, destination",
    [
        ({"destination_schema": "s"}, ("s", "t")),
        ({"destination_catalog": "c", "destination_schema": "s"}, ("c", "s", "t")),
        ({"destination_catalog": "", "destination_schema": "s"}, ("s", "t")),
        ({"destination_table": "d"}, ("d",)),
        ({"destination_table": ""}, ("t",)),
    ],
)
def test_a_destination_has_the_parts_that_were_given(given, destination):
    spec = parse(_spec({"source_table": "t"} | given))

    assert spec.tables[0].destination == destination


def test_a_catalog_needs_a_schema():
    assert _problems(_spec({"source_table": "t", "destination_catalog": "c"})) == [
        "objects[0].table.destination_schema: is needed beside destination_catalog"
    ]


def test_two_tables_cannot_write_to_one():
    tables = ({"source_table": "a", "destination_table": "d"}, {"source_table": "D"})

    assert _problems(_spec(*tables)) == ["objects[1].table: writes to D, as objects[0].table does"]


def test_columns_are_included_or_excluded():
    found = _problems(_spec(_table(include_columns="a", exclude_columns="b")))

    assert found == [
        "objects[0].table.table_configuration: include_columns and exclude_columns cannot be given"
        " together"
    ]
