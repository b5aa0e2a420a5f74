"""The Python data source on each PySpark: no jar, a fresh environment, an empty folder."""

import json
import operator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import processes, wheel
from support.golden import EXAMPLE_TABLES, fill, golden, golden_rows
from support.simulator import Simulator, example, github, spread_commits
from support.streams import Checkpoint

_TABLES = ("github_issues", *(f"example_{table}" for table in EXAMPLE_TABLES))
_STREAMS = ("github_issues", "example_events", "example_users", "example_orders", "example_metrics")

#: What is read on the lines beside the two whose code the others share, 4.1 and 4.3.
_FEWER = ("github_issues", "example_events")

#: PySpark that runs one micro-batch under AvailableNow.
_ONE_BATCH = ("4_0", "4_1")


@pytest.fixture(scope="module")
def readings(tmp_path_factory):
    """What each PySpark reads, two at a time."""
    folders = {line: tmp_path_factory.mktemp(f"python-{line}") for line in wheel.LINES}
    with ThreadPoolExecutor(2) as pool:
        yield {line: pool.submit(_read, line, folder) for line, folder in folders.items()}


@pytest.fixture(params=wheel.LINES)
def seen(request, readings):
    """What one PySpark read."""
    return readings[request.param].result()


def _read(line: str, folder: Path) -> dict:
    python = wheel.with_spark(folder / "environment", line)
    names = _TABLES if line in ("4_1", "4_3") else _FEWER
    with (
        Simulator("serve", "--source", "github", "--source", "example") as simulator,
        Simulator("serve", "--source", "github") as present,
    ):
        fill(simulator)
        commits = spread_commits(present, "acme/widgets", days=300, count=90)
        spec = _asked(simulator, folder, names)
        spec["streams"].append(_stream(folder, "commits", _backlog(present), "stored"))
        # On 4.0 the format that registers itself cannot be replaced.
        if line == "4_0":
            spec["batches"]["registered"] = example(simulator, "events")
            spec["filtered"] = None
        else:
            spec["register"] = "example"
        script = Path(__file__).with_name("spark_driver.py")
        temporary = folder / "temporary"
        temporary.mkdir()
        alone = wheel.alone(python) | {"TMPDIR": str(temporary)}
        processes.run(python, script, spec, folder / "empty", environment=alone)
        lists = [r.query for r in simulator.requests() if r.path.endswith("/o/r/issues")]
        stored = sorted(p.name for p in (folder / "stores").glob("*/slices/*"))

    result = json.loads((folder / "result.json").read_text())
    return result | {
        "line": line,
        "names": names,
        "stored": stored,
        "folder": folder,
        "commits": commits,
        "lists": lists,
        "left": sorted(path.name for path in temporary.glob("lakeflow-*")),
    }


def _asked(simulator, folder: Path, names: tuple[str, ...]) -> dict:
    issues = github(simulator)
    events = example(simulator, "events")
    tables = {f"example_{table}": example(simulator, table) for table in EXAMPLE_TABLES}
    tables["github_issues"] = issues
    capped = events | {"max_records_per_batch": "3", "limit": "1"}
    streamed = {name: tables[name] for name in names if name in _STREAMS}
    streamed["deletes"] = example(simulator, "orders", isDeleteFlow="true")
    streams = [_stream(folder, name, options, "stored") for name, options in streamed.items()]
    streams += [_stream(folder, "capped", capped, store) for store in ("stored", "carried")]
    streams.append(_stream(folder, "github_issues", issues, "carried") | {"runs": 2})
    asked = {
        "tables": issues | {"tableName": "_community_tables"},
        "split": issues | {"numPartitions": "3"},
        "objects": issues | {"operation": "list_objects"},
        "reference": issues | {"token": "env:LAKEFLOW_TEST_TOKEN"},
        "registered": {name: value for name, value in events.items() if name != "sourceName"},
    }

    return {
        "jars": [],
        "folder": str(folder / "spark"),
        "batches": {name: tables[name] for name in names} | asked,
        "mistakes": {
            "option": issues | {"per_pag": "7"},
            "table": issues | {"tableName": "nope"},
            "token": issues | {"token": "t0ken-canary", "per_page": "many"},
        },
        "filtered": {
            "options": issues | {"pushFilters": "true"},
            "condition": "state = 'open' AND updated_at >= '2024-03-01T10:00:00Z' AND number > 0",
        },
        "given": {
            "wide": {
                "options": tables["example_events"],
                "schema": "created_at timestamp, event_id string",
            }
        },
        "streams": streams,
        "refused": {
            "snapshot": tables["example_products"],
            "folder": tables["example_events"] | {"sliceStore": "s3://bucket/slices"},
            "relative": tables["example_events"] | {"sliceStore": "slices"},
        },
        "result": str(folder / "result.json"),
    }


def _backlog(simulator) -> dict:
    return github(
        simulator, "acme/widgets", "commits", streamReads="executors",
        window_seconds=86400, lookback_seconds=864000,
    )  # fmt: skip


def _stream(folder: Path, name: str, options: dict, kind: str) -> dict:
    """A stream with a store (`stored`) or without one, so that tasks carry the rows."""
    label = f"{name}-{kind}"
    store = {"sliceStore": f"file:{folder}/stores/{name}"} if kind == "stored" else {}

    return {
        "name": label,
        "options": options | store,
        "table": str(folder / "tables" / label),
        "checkpoint": str(folder / "checkpoints" / label),
    }


def test_the_session_is_of_the_line_it_should_be(seen):
    assert seen["version"].startswith(seen["line"].replace("_", "."))


def test_batch_reads_give_the_golden_rows(seen):
    names = seen["names"]

    assert {name: seen["batches"][name] for name in names} == {
        name: golden_rows(name) for name in names
    }


def test_a_batch_in_splits_gives_the_golden_rows(seen):
    assert seen["batches"]["split"] == golden_rows("github_issues")


def test_a_source_says_what_tables_it_has(seen):
    tables = [row["tableName"] for row in seen["batches"]["tables"]]
    objects = [row["name"] for row in seen["batches"]["objects"]]

    assert tables == sorted(objects) and {"issues", "commits"} < set(tables)


def test_a_secret_may_be_given_by_reference(seen):
    assert seen["batches"]["reference"] == golden_rows("github_issues")


def test_a_registered_source_need_not_be_named(seen):
    assert seen["batches"]["registered"] == golden_rows("example_events")


def test_filters_are_pushed_down_on_request(seen):
    open_ones = [row for row in golden_rows("github_issues") if row["state"] == "open"]
    pushed = [query for query in seen["lists"] if query.get("state") == "open"]

    if seen["line"] == "4_0":
        assert seen["filtered"] is None and not pushed
    else:
        assert open_ones and seen["filtered"] == open_ones
        # Times as text may be of any zone.
        assert pushed and all(query["since"] > "2024-02-28" for query in pushed)


def test_a_given_schema_chooses_and_orders_columns(seen):
    expected = [
        {"created_at": row["created_at"], "event_id": row["event_id"]}
        for row in golden("example_events")["rows"]
    ]

    assert sorted(seen["given"]["wide"], key=str) == sorted(expected, key=str)


def test_streams_give_the_golden_rows_and_then_nothing(seen):
    for name in (name for name in seen["names"] if name in _STREAMS):
        stream = seen["streams"][f"{name}-stored"]
        assert stream["rows"] == golden_rows(name), name
        assert [sum(run) for run in stream["runs"]] == [len(stream["rows"]), 0], name


def test_the_delete_feed_gives_the_golden_tombstones(seen):
    assert seen["streams"]["deletes-stored"]["rows"] == golden("example_orders")["tombstones"]


@pytest.mark.parametrize("kind", ("stored", "carried"))
def test_a_cap_makes_micro_batches_or_runs(seen, kind):
    stream = seen["streams"][f"capped-{kind}"]
    batches = [rows for run in stream["runs"] for rows in run]

    assert stream["rows"] == golden_rows("example_events")
    assert len(batches) > 1 and sum(batches) == len(stream["rows"])
    if seen["line"] in _ONE_BATCH:
        assert stream["runs"] == [*([rows] for rows in batches), []]
    else:
        assert stream["runs"] == [batches, []]


def test_a_stream_that_is_far_behind_is_read_by_tasks(seen):
    stream, folder = seen["streams"]["commits-stored"], seen["folder"]

    shas = [row["sha"] for row in stream["rows"]]
    assert shas == sorted(record["sha"] for record in seen["commits"])
    first = Checkpoint(folder / "checkpoints" / "commits-stored").offset(0)
    if seen["line"] in _ONE_BATCH:
        assert "by_split" not in first and stream["runs"] == [[len(shas)], []]
    else:
        assert first["by_split"] is True
        (batches, nothing) = stream["runs"]
        assert len(batches) == 2 and 0 < batches[1] < batches[0] and nothing == []


def test_without_a_store_a_run_reads_the_lookback_again(seen):
    stream = seen["streams"]["github_issues-carried"]
    last = max(row["updated_at"] for row in golden_rows("github_issues"))
    # What stands at the very cursor is known from the offset.
    minute = [row for row in golden_rows("github_issues") if row["updated_at"][:16] == last[:16]]
    again = [row for row in minute if row["updated_at"] != last]

    assert [sum(run) for run in stream["runs"]] == [len(golden_rows("github_issues")), len(again)]
    key = operator.itemgetter("id")
    assert stream["rows"] == sorted([*golden_rows("github_issues"), *again], key=key)


def test_a_run_that_ends_leaves_no_rows_but_those_of_its_last_batch(seen):
    streams = [name for name in seen["streams"] if name.endswith("-stored")]

    assert len(seen["stored"]) <= (len(streams) if seen["line"] in _ONE_BATCH else 0)


def test_a_stream_without_a_store_leaves_no_rows_behind(seen):
    assert seen["left"] == []


def test_mistakes_are_told_in_words_and_without_secrets(seen):
    told = seen["mistakes"]

    assert "[CONFIG_INVALID] unknown option 'per_pag'" in told["option"]
    assert "did you mean 'per_page'?" in told["option"]
    assert "[TABLE_NOT_FOUND] unknown table 'nope'; the source has: assignees" in told["table"]
    assert "[CONFIG_INVALID] option 'per_page' must be a whole number" in told["token"]
    assert "canary" not in json.dumps(told)


def test_streams_that_cannot_be_are_refused_in_words(seen):
    told = seen["refused"]

    assert "[UNSUPPORTED] table 'products' is a snapshot and cannot be streamed" in told["snapshot"]
    for name in ("folder", "relative"):
        assert "[CONFIG_INVALID] option 'sliceStore' must be the path of a folder" in told[name]
