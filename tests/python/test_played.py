"""The Python data source without a JVM: the calls that Spark makes, on each PySpark."""

import json
from pathlib import Path

import pytest
from support import connections, corpus, processes, wheel
from support.golden import fill_orders, golden
from support.simulator import Simulator, example, github

_EVENTS = corpus.events_in_threes(60)


@pytest.fixture(scope="module", params=wheel.LINES)
def seen(request, tmp_path_factory):
    """What one PySpark's classes did."""
    folder = tmp_path_factory.mktemp(f"played-{request.param}")
    python = wheel.with_spark(folder / "environment", request.param)
    with Simulator("serve", "--source", "github", "--source", "example") as simulator:
        fill_orders(simulator)
        with Simulator("serve", "--source", "example") as service:
            service.set_records("example", "events", _EVENTS)
            events = example(service, "events")
            spec = {
                "changes": example(simulator, "orders", readChangeFeed="true"),
                "events": events,
                "capped": events | {"limit": "10", "max_records_per_batch": "20"},
                "named": {"connection": "shop", "tableName": "events", "limit": "10"},
                "refused": {
                    "virtual": github(simulator, table="_community_tables"),
                    "operation": github(simulator, operation="list_objects"),
                    "flag": events | {"failOnDataLoss": "maybe"},
                    "folder": events | {"sliceStore": "dbfs:/slices"},
                },
                "result": str(folder / "result.json"),
            }
            shop = {n: v for n, v in events.items() if n != "tableName"}
            file = connections.file(folder, shop=shop | {"max_records_per_batch": "20"})
            alone = wheel.alone(python) | {"LAKEFLOW_CONNECTIONS_FILE": str(file)}
            script = Path(__file__).with_name("played_driver.py")
            processes.run(python, script, spec, folder / "empty", environment=alone)

    result = json.loads((folder / "result.json").read_text())
    return result | {"line": request.param, "orders": golden("example_orders")}


def test_the_classes_are_of_the_line_they_should_be(seen):
    assert seen["version"].startswith(seen["line"].replace("_", "."))


def test_a_change_feed_has_upserts_and_deletes(seen):
    changes, golden = seen["changes"], seen["orders"]
    upserts = [r["order_id"] for r in changes if r["_change_type"] == "update_postimage"]
    deletes = [r["order_id"] for r in changes if r["_change_type"] == "delete"]

    kept = [r["order_id"] for r in golden["rows"] if r["order_id"] not in golden["deletes"]]
    assert sorted(upserts) == sorted(kept)
    assert sorted(deletes) == sorted(golden["deletes"])
    assert {row["_commit_version"] for row in changes} == {1}


def test_a_given_schema_chooses_columns_of_a_stream(seen):
    assert [list(row) for row in seen["given"][:1]] == [["created_at", "event_id"]]
    assert [row["event_id"] for row in seen["given"]] == [e["event_id"] for e in _EVENTS]


def test_a_schema_that_does_not_fit_is_refused(seen):
    assert seen["misfit"] == (
        "[CONFIG_INVALID] the given schema does not fit table 'events' of example: column "
        "'Event_Id' does not exist (it is called 'event_id'); leave the schema out, or correct "
        "these columns"
    )


def test_what_cannot_be_streamed_is_refused_in_words(seen):
    told = seen["refused"]

    assert told["virtual"].startswith("[UNSUPPORTED] table '_community_tables' is a snapshot")
    assert told["operation"].startswith("[UNSUPPORTED] operation 'list_objects' answers a question")
    assert told["flag"].startswith("[CONFIG_INVALID] option 'failOnDataLoss' must be true or false")
    assert told["folder"].startswith("[CONFIG_INVALID] option 'sliceStore' must be the path")


def test_a_reader_that_is_told_no_start_moves_with_what_is_planned(seen):
    places = seen["places"]

    assert places["asked_twice_is_one"] is True
    assert places["rows"] > 20
    assert places["numbers"] == [1, 2, 2]
    assert places["nothing"] == []


def test_a_connection_may_bound_micro_batches(seen):
    assert seen["named"] == seen["places"]["rows"] < len(_EVENTS)


def test_a_connection_says_its_source_before_the_default_of_the_session(seen):
    assert seen["default"] == ["event_id", "event_type", "user_id", "payload", "created_at"]


def test_nothing_that_spark_prints_shows_options_or_rows(seen):
    for hidden in ("passw0rd-for-tests", _EVENTS[0]["event_id"]):
        assert hidden not in seen["shown"]
