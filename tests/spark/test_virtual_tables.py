"""Virtual tables and operations, asked for through `spark.read`; GitHub has no namespaces."""

import json

import pytest
from support.simulator import github
from support.streams import drain, load, read

_METADATA = "_community_table_metadata"


def _field(name: str, kind, nullable: bool = True) -> dict:
    return {"name": name, "type": kind, "nullable": nullable, "metadata": {}}


_NAMES = {"type": "array", "elementType": "string", "containsNull": True}

_META = {
    "type": "struct",
    "fields": [
        _field("status", "string", nullable=False),
        _field("code", "string"),
        _field("message", "string"),
    ],
}

_OK = {"status": "ok", "code": None, "message": None}


def _connection(simulator, **more) -> dict:
    """Options of a connection, without those of a table."""
    options = github(simulator)
    return {name: options[name] for name in ("sourceName", "token", "base_url")} | more


def _rows(frame) -> list[dict]:
    return [row.asDict(recursive=True) for row in frame.collect()]


_SCHEMAS = {
    _METADATA: [
        _field("tableName", "string", nullable=False),
        _field("primary_keys", _NAMES),
        _field("cursor_field", "string"),
        _field("ingestion_type", "string"),
    ],
    "_community_namespaces": [_field("namespace", _NAMES, nullable=False)],
    "_community_tables": [
        _field("namespace", _NAMES, nullable=False),
        _field("tableName", "string", nullable=False),
    ],
}


@pytest.mark.parametrize("table", _SCHEMAS)
def test_virtual_tables_have_exact_schemas(spark, simulator, table):
    frame = read(spark, _connection(simulator, tableName=table))

    assert frame.schema.jsonValue() == {"type": "struct", "fields": _SCHEMAS[table]}


def test_metadata_comes_in_the_order_asked_for(spark, simulator):
    repository = {"owner": "o", "repo": "r"}
    options = _connection(
        simulator,
        tableName=_METADATA,
        tableNameList='["issues", "commits", "issues"]',
        tableConfigs=json.dumps({"issues": repository, "commits": repository}),
    )

    rows = _rows(read(spark, options))

    issues = {
        "tableName": "issues",
        "primary_keys": ["id"],
        "cursor_field": "updated_at",
        "ingestion_type": "cdc",
    }
    assert rows[0] == rows[2] == issues
    assert (rows[1]["tableName"], rows[1]["ingestion_type"]) == ("commits", "append")
    assert len(rows) == 3
    assert simulator.requests() == []


def test_metadata_of_no_table_has_no_rows(spark, simulator):
    assert _rows(read(spark, _connection(simulator, tableName=_METADATA))) == []
    empty = _connection(simulator, tableName=_METADATA, tableNameList="[]")
    assert _rows(read(spark, empty)) == []


def test_a_bad_table_is_a_row_of_nulls_and_says_why_if_asked(spark, simulator):
    options = _connection(simulator, tableName=_METADATA, tableNameList='["nowhere", "issues"]')
    nulls = {"primary_keys": None, "cursor_field": None, "ingestion_type": None}

    assert _rows(read(spark, options)) == [
        {"tableName": "nowhere"} | nulls,
        {"tableName": "issues"} | nulls,
    ]

    frame = read(spark, options | {"withErrors": "true"})
    errors = [row["_error"] for row in _rows(frame)]
    assert frame.schema["_error"].jsonValue() == _field("_error", "string")
    assert errors[0].startswith("unknown table 'nowhere'; the source has: assignees, ")
    assert errors[1].startswith("option 'owner' is required")


def test_a_source_without_namespaces_has_its_tables_in_the_root(spark, simulator):
    rows = _rows(read(spark, _connection(simulator, tableName="_community_tables")))

    assert len(rows) == 12
    assert [row["tableName"] for row in rows] == sorted(row["tableName"] for row in rows)
    assert all(row["namespace"] == [] for row in rows)
    none = _connection(simulator, tableName="_community_namespaces", namespacePrefix="no JSON")
    assert _rows(read(spark, none)) == []


@pytest.mark.parametrize(
    ("table", "option", "value", "expected"),
    [
        (_METADATA, "tableNameList", "t1,t2", "list of strings"),
        (_METADATA, "tableNameList", '"a"', "list of strings"),
        (_METADATA, "tableNameList", "{}", "list of strings"),
        (_METADATA, "tableNameList", "[1]", "list of strings"),
        (_METADATA, "tableConfigs", "a=b", "object"),
        (_METADATA, "tableConfigs", "[]", "object"),
        ("_community_tables", "namespace", "acme", "list of strings"),
    ],
)
def test_a_value_that_is_no_json_names_option_and_value(
    spark, simulator, table, option, value, expected
):
    with pytest.raises(Exception) as failure:
        read(spark, _connection(simulator, tableName=table) | {option: value})

    assert f"option '{option}' must be a JSON {expected}, got \"{value}\"" in str(failure.value)


_REFUSED = {
    "reserved name": ({"tableName": "_community_x"}, "reserved for _community_table_metadata, "),
    "another case": ({"tableName": "_COMMUNITY_TABLES"}, "unknown table '_COMMUNITY_TABLES'"),
    "ordinary table": (
        {"tableName": "issues", "namespace": "[]"},
        "unknown option 'namespace'",
    ),
    "no token": ({"tableName": "_community_tables", "token": None}, "option 'token' is required"),
}


@pytest.mark.parametrize("case", _REFUSED)
def test_a_mistake_is_named_when_the_table_is_loaded(spark, simulator, case):
    changes, message = _REFUSED[case]
    options = {k: v for k, v in (_connection(simulator) | changes).items() if v is not None}

    with pytest.raises(Exception) as failure:
        read(spark, options)

    assert message in str(failure.value)


def test_a_namespace_of_a_source_without_namespaces_is_refused(spark, simulator):
    with pytest.raises(Exception, match="has no namespaces; leave option 'namespace' out"):
        read(spark, _connection(simulator, tableName="_community_tables", namespace="[]"))


@pytest.mark.parametrize(
    "asked", [{"tableName": "_community_tables"}, {"operation": "list_objects"}]
)
def test_neither_can_be_streamed(spark, simulator, tmp_path, asked):
    with pytest.raises(Exception) as failure:
        drain(load(spark, _connection(simulator, **asked)), tmp_path / "t", tmp_path / "c")

    assert "cannot be streamed" in str(failure.value)
    assert "spark.read" in str(failure.value)


def test_operations_are_listed_with_their_parameters(spark, simulator):
    frame = read(spark, {"sourceName": "github", "operation": "list_operations"})
    columns = ("name", "description", "kind", "result_schema_json", "parameters_json")

    rows = {row["name"]: row for row in _rows(frame)}

    assert frame.schema.jsonValue()["fields"] == [
        *[_field(name, "string") for name in columns],
        _field("_meta", _META),
    ]
    assert [(name, row["kind"], row["_meta"]) for name, row in rows.items()] == [
        ("list_objects", "metadata", _OK),
        ("read_table", "data", _OK),
        ("get_object_metadata", "metadata", _OK),
        ("validate_connection", "metadata", _OK),
        ("list_operations", "metadata", _OK),
    ]
    parameters = json.loads(rows["read_table"]["parameters_json"])
    assert [(p["name"], p["type"], p["required"], p["default"]) for p in parameters] == [
        ("tableName", "string", True, None),
        ("limit", "integer", False, "1000"),
    ]
    schema = json.loads(rows["list_objects"]["result_schema_json"])
    assert schema["fields"] == [_field(n, "string") for n in ("name", "type", "full_path")]


def test_objects_are_found_by_pattern(spark, simulator):
    asked = _connection(simulator, operation="list_objects", search="^comm")

    assert _rows(read(spark, asked)) == [
        {"name": name, "type": "table", "full_path": name, "_meta": _OK}
        for name in ("comments", "commits")
    ]


def test_metadata_of_an_object_is_rows_of_keys(spark, simulator):
    asked = github(simulator, operation="get_object_metadata", name="issues")
    del asked["tableName"]

    rows = _rows(read(spark, asked))

    assert [(row["key"], row["value"]) for row in rows[:3]] == [
        ("primary_key", '["id"]'),
        ("cursor_column", "updated_at"),
        ("ingestion_type", "cdc"),
    ]
    missing = _connection(simulator, operation="get_object_metadata")
    (row,) = _rows(read(spark, missing))
    assert (row["key"], row["value"], row["_meta"]["code"]) == (None, None, "bad_request")
    assert "option 'name' is required" in row["_meta"]["message"]


def test_a_connection_is_validated_by_one_record(spark, simulator):
    asked = github(simulator, operation="validate_connection")
    del asked["tableName"]

    assert _rows(read(spark, asked)) == [{"_meta": _OK}]

    simulator.fault(path="/github/*", kind={"status": {"code": 401}})
    (row,) = _rows(read(spark, asked))
    assert (row["_meta"]["status"], row["_meta"]["code"]) == ("error", "connection_failed")
    assert asked["token"] not in row["_meta"]["message"]


def test_an_unknown_operation_answers_with_those_that_exist(spark, simulator):
    (row,) = _rows(read(spark, _connection(simulator, operation="preview_table")))

    assert row["_meta"]["code"] == "unsupported"
    assert "there are: list_objects, read_table, " in row["_meta"]["message"]


def test_a_table_is_read_up_to_the_limit_and_says_that_it_has_more(spark, simulator):
    whole = read(spark, github(simulator))
    count = whole.count()

    def asked(**more):
        return read(spark, github(simulator, operation="read_table", **more))

    frame = asked(limit=3)
    assert frame.schema.fields[:-1] == whole.schema.fields
    assert frame.schema["_truncated"].jsonValue() == _field("_truncated", "boolean")
    assert [row["_truncated"] for row in frame.collect()] == [True] * 3
    assert [row["_truncated"] for row in asked(limit=count).collect()] == [False] * count
    assert asked().select("id").count() == count
    assert asked(limit=2).where("_truncated").select("id").count() == 2

    with pytest.raises(Exception) as failure:
        asked(limit=0)
    assert "option 'limit' must be a whole number from 1 to 100000" in str(failure.value)
