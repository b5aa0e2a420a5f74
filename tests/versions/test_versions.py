"""One jar on every Spark version: whole rows against golden values, and one death and replay."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from support import corpus, environment, processes
from support.golden import EXAMPLE_TABLES, fill, golden, golden_rows
from support.simulator import Simulator, example, github
from support.streams import Checkpoint

_TESTS = Path(__file__).parent.parent
_STREAMS = ("github_issues", "example_events", "example_users", "example_orders", "example_metrics")

#: What a source says of itself: options beside those of its issues, and what comes first.
_ASKED = {
    "tables": {"tableName": "_community_tables"},
    "objects": {"operation": "list_objects"},
}

#: Read by the stream that dies in its second micro-batch.
_EVENTS = [
    corpus.event(n, corpus.hours_ago(5) + timedelta(seconds=10 * (n // 3))) for n in range(60)
]


@pytest.fixture(scope="module", params=environment.SPARK_LINES)
def seen(request, tmp_path_factory):
    """What one Spark version read, and what its first driver left behind when it died."""
    line = request.param
    folder = tmp_path_factory.mktemp(f"spark-{line}")
    with (
        Simulator("serve", "--source", "github", "--source", "example") as simulator,
        Simulator("serve", "--source", "example") as events,
    ):
        events.set_records("example", "events", _EVENTS)
        died = _let_die(line, events, folder)
        events.clear_requests()
        fill(simulator)
        spec = {
            "jars": [str(environment.jar())],
            "folder": str(folder / "spark"),
            "batches": _options(simulator),
            "streams": {name: _options(simulator)[name] for name in _STREAMS},
            "died": died,
            "result": str(folder / "result.json"),
        }
        spec["triggers"] = example(simulator, "events", max_records_per_batch=2)
        spec["catalog"] = {
            "table": "issues",
            "sourceName": "github",
            "token": "env:LAKEFLOW_TEST_TOKEN",
            "base_url": simulator.base_url("github"),
            "owner": "o",
            "repo": "r",
        }
        for name, more in _ASKED.items():
            spec["batches"][name] = github(simulator) | more
        spec["streams"]["deletes"] = example(simulator, "orders", isDeleteFlow="true")
        script = Path(__file__).with_name("driver.py")
        processes.run(environment.python(line), script, spec, folder / "process")
        replay = events.requests()

    result = json.loads((folder / "result.json").read_text())
    return result | {"line": line, "left_behind": died["left_behind"], "replay": replay}


def _options(simulator) -> dict:
    tables = {f"example_{table}": example(simulator, table) for table in EXAMPLE_TABLES}
    return tables | {"github_issues": github(simulator)}


def _let_die(line: str, simulator, folder: Path) -> dict:
    died = {
        "options": example(simulator, "events", limit=10, max_records_per_batch=20),
        "table": str(folder / "died-table"),
        "checkpoint": str(folder / "died-checkpoint"),
    }
    spec = died | {
        "jars": [str(environment.testing_jar())],
        "folder": str(folder / "died-spark"),
        "delta": False,
        "format": "parquet",
        "kill_after_sink": None,
        "result": str(folder / "died.json"),
    }
    variables = {
        "LAKEFLOW_FAIL_FILE": str(folder / "failed-at.txt"),
        "LAKEFLOW_FAIL_POINT": "planned@2",
    }
    script = _TESTS / "kill" / "driver.py"
    python = environment.python(line)
    processes.run(python, script, spec, folder / "died", environment=variables)
    assert (folder / "failed-at.txt").read_text() == "planned 2\n"
    checkpoint = Checkpoint(folder / "died-checkpoint")
    left = (checkpoint.logged(), checkpoint.committed(), checkpoint.offset(1)["cursor"])

    return died | {"left_behind": left}


def test_the_session_is_of_the_line_it_should_be(seen):
    assert seen["version"].startswith(seen["line"].replace("_", "."))


@pytest.mark.parametrize(
    "name", ("github_issues", *(f"example_{table}" for table in EXAMPLE_TABLES))
)
def test_a_batch_read_gives_the_golden_rows(seen, name):
    rows = golden_rows(name)

    read = seen["batches"][name]

    assert read["rows"] == rows
    assert read["count"] == len(rows)
    key = next(iter(rows[0]))
    assert read["column"] == [row[key] for row in rows]


@pytest.mark.parametrize("name", _STREAMS)
def test_a_stream_gives_the_golden_rows_and_then_nothing(seen, name):
    stream = seen["streams"][name]

    assert stream["rows"] == golden_rows(name)
    assert sum(stream["batches"]) == len(stream["rows"])
    assert stream["again"] == []


@pytest.mark.parametrize("trigger", ("once", "every"))
def test_a_stream_gives_the_golden_rows_under_each_trigger(seen, trigger):
    assert seen["triggers"][trigger] == golden_rows("example_events")


def test_a_table_of_a_catalog_gives_the_golden_rows(seen):
    assert seen["catalog"] == golden_rows("github_issues")


def test_a_source_says_what_tables_it_has(seen):
    tables = [row["tableName"] for row in seen["batches"]["tables"]["rows"]]
    objects = [row["name"] for row in seen["batches"]["objects"]["rows"]]

    assert tables == sorted(objects) and {"issues", "commits"} < set(tables)


def test_the_delete_feed_gives_the_golden_tombstones(seen):
    stream = seen["streams"]["deletes"]

    assert stream["rows"] == golden("example_orders")["tombstones"]
    assert stream["again"] == []


def test_a_stream_that_died_is_replayed_from_the_store(seen):
    logged, committed, end = seen["left_behind"]
    assert (logged, committed) == ([0, 1], [0])
    assert [row["event_id"] for row in seen["died"]] == [event["event_id"] for event in _EVENTS]
    asked = [r.query.get("since", "") for r in seen["replay"] if r.path.endswith("/records")]
    one_step_back = corpus.parse(end) - timedelta(seconds=1)
    assert all(since and corpus.parse(since) >= one_step_back for since in asked), asked
