"""Options are checked when the source is loaded: mistakes show before a query starts."""

import pytest
from support.simulator import github
from support.streams import load, read

#: What is changed in good options (`None`: left out), and what the error says.
_MISTAKES = {
    "no source": ({"sourceName": None}, "sourceName"),
    "unknown source": ({"sourceName": "githb"}, "github"),
    "no table": ({"tableName": None}, "tableName"),
    "unknown table": ({"tableName": "isues"}, "issues"),
    "no token": ({"token": None}, "option 'token' is required"),
    "no owner": ({"owner": None}, "option 'owner' is required"),
    "misspelt option": ({"per_pag": "5"}, "did you mean 'per_page'?"),
    "page size of zero": ({"per_page": "0"}, "option 'per_page' must be"),
    "cap that is no number": ({"max_records_per_batch": "many"}, "max_records_per_batch"),
    "address without a scheme": ({"base_url": "localhost"}, "option 'base_url' must be"),
    "two caps": (
        {"max_records_per_batch": "5", "maxRowsPerTrigger": "6"},
        "as 'max_records_per_batch' and 'maxRowsPerTrigger'; leave one of them out",
    ),
    "size of another spelling": (
        {"maxBytesPerTrigger": "64 MiB"},
        "option 'maxBytesPerTrigger' must be a number of bytes or a size such as 64m or 1g, "
        'got "64 MiB"',
    ),
    "interval without a unit": (
        {"minPollInterval": "30"},
        "option 'minPollInterval' must be a length of time such as 30s or 5 minutes, got \"30\"",
    ),
    "start that is no time": ({"startingTimestamp": "yesterday"}, "option 'start_timestamp' must"),
    "delete flow that is no boolean": (
        {"isDeleteFlow": "yes"},
        "option 'isDeleteFlow' must be true or false, got \"yes\"",
    ),
    "deletes of a table without them": (
        {"isDeleteFlow": "TRUE"},
        "its ingestion type is cdc; leave option 'isDeleteFlow' out",
    ),
    "coercion word": ({"onCoercionError": "ignore"}, "one of fail, null"),
}


@pytest.mark.parametrize("way", [read, load])
@pytest.mark.parametrize("case", _MISTAKES)
def test_a_mistake_is_named_before_any_request(spark, simulator, case, way):
    changes, message = _MISTAKES[case]
    options = {k: v for k, v in (github(simulator) | changes).items() if v is not None}

    with pytest.raises(Exception) as failure:
        way(spark, options)

    assert message in str(failure.value)
    assert simulator.requests() == []


def test_names_are_case_insensitive(spark, simulator):
    options = {name.upper(): value for name, value in github(simulator).items()}

    assert read(spark, options).count() == read(spark, github(simulator)).count()


def test_session_defaults_apply(spark, simulator):
    options = github(simulator)
    spark.conf.set("spark.datasource.lakeflow_connect.per_page", "7")
    try:
        read(spark, options).count()
    finally:
        spark.conf.unset("spark.datasource.lakeflow_connect.per_page")

    assert {r.query.get("per_page") for r in simulator.requests()} == {"7"}


def test_a_secret_is_shown_nowhere(spark, simulator, capfd):
    canary = "c4nary-8f1e"
    options = github(simulator) | {"token": canary}
    frame = read(spark, options)
    plan = frame._jdf.queryExecution().toString()
    simulator.fault(path="/github/*", kind={"status": {"code": 401}})

    with pytest.raises(Exception) as failure:
        frame.collect()

    shown = capfd.readouterr()
    for text in (plan, str(failure.value), shown.out, shown.err):
        assert canary not in text


def test_snapshot_tables_are_refused_as_streams(spark, simulator, tmp_path):
    from support.simulator import example
    from support.streams import drain

    with pytest.raises(Exception) as failure:
        drain(load(spark, example(simulator, "products")), tmp_path / "t", tmp_path / "c")

    assert "snapshot" in str(failure.value)
    assert "spark.read" in str(failure.value)
