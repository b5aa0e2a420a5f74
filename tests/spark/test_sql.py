"""SQL: a source as a catalog, tables and views made from options, and schemas that are given."""

from contextlib import contextmanager

import pytest
from support import corpus
from support.rows import values
from support.simulator import example, github
from support.streams import drain, load, read

#: Every table of the source `github`.
_GITHUB_TABLES = [
    "assignees",
    "branches",
    "collaborators",
    "comments",
    "commits",
    "issues",
    "organizations",
    "pull_requests",
    "repositories",
    "reviews",
    "teams",
    "users",
]

_CATALOG = "lakeflow.connect.spark.LakeflowCatalog"


def _session(spark, options: dict, name: str = "gh"):
    """A session with a catalog of its own, configured by `options`."""
    session = spark.newSession()
    session.conf.set(f"spark.sql.catalog.{name}", _CATALOG)
    for option, value in options.items():
        session.conf.set(f"spark.sql.catalog.{name}.{option}", value)

    return session


def _connection(simulator, **more) -> dict:
    """Options of a catalog for the simulator's GitHub, without those of a table."""
    return {
        "sourceName": "github",
        "token": "env:LAKEFLOW_TEST_TOKEN",
        "base_url": simulator.base_url("github"),
    } | more


@pytest.fixture
def session(spark, simulator):
    """A session whose catalog `gh` reads one repository."""
    return _session(spark, _connection(simulator, owner="o", repo="r"))


def _rows(frame) -> list[tuple]:
    return [tuple(row) for row in frame.collect()]


def _error(session, statement: str) -> str:
    with pytest.raises(Exception) as failure:
        session.sql(statement).collect()

    return str(failure.value)


def test_tables_without_namespaces_lie_in_default(session, simulator):
    shown = [("default", name, False) for name in _GITHUB_TABLES]

    assert _rows(session.sql("SHOW NAMESPACES IN gh")) == [("default",)]
    assert _rows(session.sql("SHOW TABLES IN gh.default")) == shown
    assert _rows(session.sql("SHOW TABLES IN gh")) == shown
    assert _rows(session.sql("SHOW TABLES IN gh LIKE 'comm*'")) == shown[3:5]
    assert simulator.requests() == []


def test_a_catalog_that_is_used_has_the_namespace_default(session):
    session.sql("USE gh")

    assert _rows(session.sql("SELECT current_catalog(), current_schema()")) == [("gh", "default")]
    assert [row[1] for row in _rows(session.sql("SHOW TABLES"))] == _GITHUB_TABLES
    assert session.sql("SELECT number FROM issues").count() > 40


def test_a_table_is_described_with_its_comment_and_without_options(spark, session, simulator):
    columns = [
        (field.name, field.dataType.simpleString())
        for field in read(spark, github(simulator)).schema.fields
    ]

    plain = _rows(session.sql("DESCRIBE TABLE gh.default.issues"))
    extended = _rows(session.sql("DESCRIBE TABLE EXTENDED gh.default.issues"))
    properties = dict(_rows(session.sql("SHOW TBLPROPERTIES gh.default.issues")))

    assert [row[:2] for row in plain] == columns
    told = {row[0]: row[1] for row in extended[len(columns) :]}
    # Spark 4.3 shows the parts of the name.
    parts = [told[part] for part in ("Catalog", "Namespace", "Table") if part in told]
    assert (told.get("Name") or ".".join(parts)) == "gh.default.issues"
    assert told["Provider"] == "lakeflow_connect"
    comment = "Table issues of github: ingestion type cdc, primary key id, cursor updated_at."
    assert told["Comment"] == comment
    assert properties == {
        "cursor_field": "updated_at",
        "ingestion_type": "cdc",
        "primary_keys": '["id"]',
        "streamable": "true",
    }
    assert "LAKEFLOW_TEST_TOKEN" not in str(extended) + str(properties)
    assert simulator.requests() == []


def test_a_selected_table_is_the_one_that_spark_read_gives(spark, session, simulator):
    rows = values(read(spark, github(simulator)), "id")

    for name in ("gh.default.issues", "gh.issues"):
        assert values(session.table(name), "id") == rows
    wanted = [{"number": r["number"]} for r in rows if r["state"] == "open" and r["comments"] > 2]
    some = "SELECT number FROM gh.default.issues WHERE state = 'open' AND comments > 2"
    assert values(session.sql(some), "number") == sorted(wanted, key=lambda row: row["number"])


def test_virtual_tables_are_tables_of_a_catalog(session):
    rows = _rows(session.sql("SELECT tableName FROM gh.default._community_tables"))

    assert rows == [(name,) for name in _GITHUB_TABLES]


def test_options_come_with_the_read_or_with_the_catalog(spark, simulator, tmp_path):
    session = _session(spark, _connection(simulator))
    count = read(spark, github(simulator)).count()
    simulator.clear_requests()

    assert len(session.sql("DESCRIBE TABLE EXTENDED gh.default.issues").collect()) > 10
    reader = session.read.option("owner", "o").option("repo", "r").option("per_page", "7")
    assert reader.table("gh.default.issues").count() == count
    assert {r.query["per_page"] for r in simulator.requests()} == {"7"}

    stream = session.readStream.option("owner", "o").option("repo", "r").table("gh.default.issues")
    assert drain(stream, tmp_path / "t", tmp_path / "c", format="parquet").rows == count


@pytest.mark.spark4
def test_options_come_with_a_query(spark, simulator):
    session = _session(spark, _connection(simulator))
    one = "gh.default.issues WITH (owner = 'o', repo = 'r', per_page = '7')"
    count = read(spark, github(simulator)).count()
    simulator.clear_requests()

    assert session.sql(f"SELECT id FROM {one}").count() == count
    assert {r.query["per_page"] for r in simulator.requests()} == {"7"}


_PATH = {"owner": "o", "repo": "r"}
_MISTAKES = {
    "nothing": ({}, "option 'owner' is required"),
    "misspelt": (_PATH | {"per_pag": "7"}, "did you mean 'per_page'?"),
    "table": (_PATH | {"tableName": "commits"}, "option 'tableName' cannot be given to table"),
    "operation": (
        {"operation": "list_objects"},
        "option 'operation' cannot be given to table gh.default.issues",
    ),
    "columns": (_PATH | {"rescuedDataColumn": "_r"}, "change its columns"),
}


@pytest.mark.parametrize("case", _MISTAKES)
def test_a_mistake_in_a_read_of_a_catalog_is_named_before_any_request(spark, simulator, case):
    session = _session(spark, _connection(simulator))
    options, message = _MISTAKES[case]

    with pytest.raises(Exception) as failure:
        session.read.options(**options).table("gh.default.issues").collect()

    assert message in str(failure.value)
    assert simulator.requests() == []


def test_what_does_not_exist_is_not_found_as_spark_says_it(session):
    for name in ("gh.default.isues", "gh.nowhere.issues", "gh.default.ISSUES"):
        assert "TABLE_OR_VIEW_NOT_FOUND" in _error(session, f"SELECT * FROM {name}"), name
    assert "SCHEMA_NOT_FOUND" in _error(session, "SHOW TABLES IN gh.nowhere")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE gh.default.mine (id BIGINT)",
        "CREATE TABLE gh.default.mine AS SELECT 1 AS id",
        "DROP TABLE gh.default.issues",
        "ALTER TABLE gh.default.issues ADD COLUMN extra STRING",
        "ALTER TABLE gh.default.issues RENAME TO gh.default.mine",
        "INSERT INTO gh.default.issues (id) VALUES (1)",
        "INSERT OVERWRITE gh.default.comments SELECT * FROM gh.default.issues",
        "CREATE NAMESPACE gh.mine",
        "ALTER NAMESPACE gh.default SET PROPERTIES (a = 'b')",
        "DROP NAMESPACE gh.default",
    ],
)
def test_whatever_writes_is_refused(session, simulator, statement):
    assert "catalog 'gh' is read only" in _error(session, statement)
    assert simulator.requests() == []


_CONFIGURATIONS = {
    "plain secret": (
        {"token": "c4nary"},
        "option 'token' stands in the configuration of the catalog, which others can read",
    ),
    "secret in another case": ({"TOKEN": "c4nary"}, "option 'token' stands in the configuration"),
    "unknown source": ({"sourceName": "githb"}, "unknown source 'githb'"),
    "no source": ({"sourceName": None}, "option 'sourceName' is required"),
    "one table": ({"tableName": "issues"}, "option 'tableName' cannot be given to a catalog"),
    "misspelt option": ({"per_pag": "5"}, "did you mean 'per_page'?"),
}


@pytest.mark.parametrize("case", _CONFIGURATIONS)
def test_a_mistake_in_the_configuration_is_named(spark, simulator, case):
    changes, message = _CONFIGURATIONS[case]
    options = {k: v for k, v in (_connection(simulator) | changes).items() if v is not None}
    if "TOKEN" in options:
        del options["token"]

    error = _error(_session(spark, options), "SHOW TABLES IN gh")

    assert message in error
    assert "c4nary" not in error
    assert simulator.requests() == []


def _clause(options: dict) -> str:
    """The options of a statement; Spark keeps `owner` for itself in `CREATE TABLE`."""
    options = {"repository_owner" if k == "owner" else k: v for k, v in options.items()}
    return ", ".join(f"'{name}' '{value}'" for name, value in options.items())


@pytest.fixture
def plain(spark):
    """A session with Spark's own catalog: Delta's reads no created table of another v2 source."""
    session = spark.newSession()
    session.conf.set("spark.sql.catalog.spark_catalog", "builtin")
    yield session
    for table in ("all_issues", "some_issues", "bad_issues"):
        session.sql(f"DROP TABLE IF EXISTS {table}")


@pytest.mark.spark4
def test_a_created_table_reads_the_service(spark, plain, simulator):
    options = github(simulator)
    clause = f"USING lakeflow_connect OPTIONS ({_clause(options)})"
    rows = values(read(spark, options), "id")

    plain.sql(f"CREATE TABLE all_issues {clause} TBLPROPERTIES ('repo' = 'x')")
    plain.sql(f"CREATE TABLE some_issues (title STRING, id BIGINT) {clause}")

    assert values(plain.table("all_issues"), "id") == rows
    titles = [{"title": row["title"], "id": row["id"]} for row in rows]
    assert values(plain.table("some_issues"), "id") == titles
    assert options["token"] not in str(_rows(plain.sql("DESCRIBE TABLE EXTENDED all_issues")))


@pytest.mark.spark4
def test_a_created_table_whose_column_does_not_exist_says_so(plain, simulator):
    clause = f"USING lakeflow_connect OPTIONS ({_clause(github(simulator))})"
    with pytest.raises(Exception) as failure:
        plain.sql(f"CREATE TABLE bad_issues (id BIGINT, headline STRING) {clause}")
        plain.table("bad_issues")

    assert "column 'headline' does not exist" in str(failure.value)
    assert simulator.requests() == []


def test_a_temporary_view_reads_the_service(spark, simulator):
    options = github(simulator)
    view = f"CREATE TEMPORARY VIEW issues USING lakeflow_connect OPTIONS ({_clause(options)})"
    spark.sql(view)
    try:
        assert values(spark.table("issues"), "id") == values(read(spark, options), "id")
    finally:
        spark.catalog.dropTempView("issues")


@contextmanager
def _defaults(spark, defaults: dict):
    """Sets defaults of the session for a while."""
    prefix = "spark.datasource.lakeflow_connect."
    for option, value in defaults.items():
        spark.conf.set(prefix + option, value)
    try:
        yield
    finally:
        for option in defaults:
            spark.conf.unset(prefix + option)


def test_defaults_of_the_session_give_way_to_options_of_a_read(spark, simulator):
    options = github(simulator)
    whole = {name: options.pop(name) for name in ("sourceName", "owner", "base_url")}
    count = read(spark, github(simulator)).count()
    simulator.clear_requests()

    with _defaults(spark, whole | {"repo": "nowhere", "PER_PAGE": "7"}):
        assert read(spark, options).count() == count
    assert {r.query["per_page"] for r in simulator.requests()} == {"7"}


def test_defaults_of_the_session_apply_to_sources_that_have_them(spark, simulator, tmp_path):
    options = example(simulator, "events")
    count = read(spark, options).count()

    with _defaults(spark, {"owner": "o", "per_page": "7", "rate_limit": "3"}):
        assert read(spark, options).count() == count
        run = drain(load(spark, options), tmp_path / "t", tmp_path / "c", format="parquet")
        assert run.rows == count
        with pytest.raises(Exception, match="unknown option 'owner'"):
            read(spark, options | {"owner": "p"})


@pytest.mark.parametrize(
    "schema",
    [
        "id BIGINT, number BIGINT",
        "user STRUCT<id BIGINT, login STRING>, locked BOOLEAN, id BIGINT",
        "labels ARRAY<STRUCT<name STRING>>",
    ],
)
def test_columns_of_a_given_schema_are_read_by_name(spark, simulator, schema):
    options = github(simulator)
    label = {"name": "bug", "color": "f00", "id": 7, "default": False}
    records = [corpus.issue(n, corpus.hours_ago(n), labels=[label]) for n in range(1, 4)]
    simulator.set_records("github", "issues", records)

    frame = spark.read.format("lakeflow_connect").schema(schema).options(**options).load()

    assert frame.schema.simpleString() == spark.createDataFrame([], schema).schema.simpleString()
    wanted = {name: kind for name, kind in ((f.name, f.dataType) for f in frame.schema.fields)}
    assert (
        values(frame)
        == [
            {name: _picked(record[name], kind) for name, kind in wanted.items()}
            for record in records
        ][::-1]
    )


def _picked(value, kind):
    """The part of a JSON value that a type names."""
    if kind.typeName() == "struct":
        return {f.name: _picked(value[f.name], f.dataType) for f in kind.fields}
    if kind.typeName() == "array":
        return [_picked(item, kind.elementType) for item in value]

    return value


_UNFIT = {
    "narrower": ("id INT", "column 'id' is bigint and is wanted as int"),
    "other type": ("id STRING", "column 'id' is bigint and is wanted as string"),
    "renamed": ("id BIGINT, headline STRING", "column 'headline' does not exist"),
    "other case": ("ID BIGINT", "column 'ID' does not exist (it is called 'id')"),
    "inside a struct": (
        "user STRUCT<login BIGINT>",
        "column 'user.login' is string and is wanted as bigint",
    ),
    "two": (
        "number INT, headline STRING",
        "column 'number' is bigint and is wanted as int; column 'headline' does not exist",
    ),
}


@pytest.mark.parametrize("case", _UNFIT)
@pytest.mark.parametrize("way", ["read", "readStream"])
def test_a_given_schema_that_does_not_fit_names_the_differences(spark, simulator, case, way):
    schema, differences = _UNFIT[case]
    reader = getattr(spark, way).format("lakeflow_connect").schema(schema)

    with pytest.raises(Exception) as failure:
        reader.options(**github(simulator)).load()

    expected = f"the given schema does not fit table 'issues' of github: {differences}; leave"
    assert expected in str(failure.value)
    assert simulator.requests() == []


def test_a_stream_reads_a_given_schema_by_name(spark, simulator, tmp_path):
    schema = "title STRING, id BIGINT"
    reader = spark.readStream.format("lakeflow_connect").schema(schema)
    frame = reader.options(**github(simulator)).load()

    drain(frame, tmp_path / "t", tmp_path / "c", format="parquet")

    got = values(spark.read.schema(schema).parquet(str(tmp_path / "t")), "id")
    whole = values(read(spark, github(simulator)), "id")
    assert got == [{"title": row["title"], "id": row["id"]} for row in whole]
