"""Streams with AvailableNow and with processing time, into Delta."""

import time
from datetime import timedelta
from math import ceil

from support import corpus, streams
from support.rows import values
from support.simulator import example, github
from support.streams import Checkpoint, drain, load, read

AUTHORIZED = {"Authorization": "Bearer t0ken-for-tests"}


def issues_spread_evenly(count: int, span: timedelta, hours: float = 6.0) -> list[dict]:
    """Issues whose updates are spread over `span`, whole seconds, in the order of numbers."""
    start = corpus.hours_ago(hours)
    return [
        corpus.issue(n + 1, start + timedelta(seconds=span.total_seconds() * n // count))
        for n in range(count)
    ]


def ids(spark, table) -> list[int]:
    """The key of every row, sorted; one entry for each time that it was delivered."""
    rows = streams.table(spark, table).select("id").collect()
    return sorted(row.id for row in rows)


def test_a_stream_reads_all_then_only_changes(spark, simulator, tmp_path):
    options = github(simulator, max_records_per_batch=30, per_page=10)
    table, checkpoint = tmp_path / "table", tmp_path / "checkpoint"
    first = drain(load(spark, options), table, checkpoint)
    before = values(read(spark, options), "id")
    assert first.rows == len(before)
    assert len(first.batches) > 1
    assert max(first.batches) < 30 + 10
    assert values(streams.table(spark, table), "id") == before

    path = "/github/repos/o/r/issues"
    made = simulator.call("POST", path, {"title": "Made while nobody looked"}, AUTHORIZED)
    number = before[0]["number"]
    simulator.call("PATCH", f"{path}/{number}", {"title": "Renamed"}, AUTHORIZED)
    second = drain(load(spark, options), table, checkpoint)

    assert second.rows == 2
    after = {row["id"]: row for row in values(read(spark, options))}
    delivered = values(streams.table(spark, table), "updated_at")[-2:]
    wanted = [after[made["id"]], after[before[0]["id"]]]
    assert sorted(delivered, key=lambda r: r["id"]) == sorted(wanted, key=lambda r: r["id"])
    assert {row["title"] for row in delivered} == {"Made while nobody looked", "Renamed"}


def test_a_quiet_source_ends_with_no_rows_and_two_requests_at_most(spark, simulator, tmp_path):
    options = github(simulator)
    table, checkpoint = tmp_path / "table", tmp_path / "checkpoint"
    drain(load(spark, options), table, checkpoint)
    kept = Checkpoint(checkpoint).files()
    for _ in range(2):
        simulator.clear_requests()

        run = drain(load(spark, options), table, checkpoint)

        assert run.batches == []
        assert 1 <= len(simulator.requests()) <= 2
        assert Checkpoint(checkpoint).logged() == Checkpoint(checkpoint).committed()
        assert kept.keys() >= {k for k in Checkpoint(checkpoint).files() if "offsets/" in k}


def test_three_idle_intervals_of_a_frozen_source_deliver_nothing(spark, simulator, tmp_path):
    simulator.freeze(corpus.instant(corpus.hours_ago(0)))
    options = github(simulator)
    writer = (
        load(spark, options)
        .writeStream.format(streams.table_format())
        .trigger(processingTime="1 second")
    )
    query = writer.option("checkpointLocation", str(tmp_path / "c")).start(str(tmp_path / "t"))
    try:
        wait_until(lambda: _stands_still(query, simulator), query)
        logged = Checkpoint(tmp_path / "c").logged()
        rows = len(ids(spark, tmp_path / "t"))
        simulator.clear_requests()

        # Each idle interval looks at the source, so three looks are three intervals.
        wait_until(lambda: len(simulator.requests()) >= 3, query)

        assert Checkpoint(tmp_path / "c").logged() == logged
        assert len(ids(spark, tmp_path / "t")) == rows == read(spark, options).count()
    finally:
        query.stop()


def _stands_still(query, simulator) -> bool:
    """Whether all was delivered, and one interval looked and found nothing."""
    progress = query.lastProgress
    waiting = query.status["message"].startswith("Waiting for")

    return waiting and progress is not None and progress["batchId"] >= 0


def wait_until(condition, query, seconds: float = 60):
    """Polls until `condition` holds; a query that failed meanwhile fails the test."""
    end = time.monotonic() + seconds
    while not condition():
        assert query.exception() is None, query.exception()
        assert time.monotonic() < end, f"not within {seconds} s: {query.status}"
        time.sleep(0.01)


def test_3100_issues_of_three_minutes_all_arrive_once(spark, github_simulator, tmp_path):
    simulator = github_simulator()
    issues = issues_spread_evenly(3100, timedelta(minutes=3))
    simulator.set_records("github", "issues", issues)
    options = github(simulator, max_records_per_batch=1000)

    run = drain(load(spark, options), tmp_path / "table", tmp_path / "checkpoint")

    assert ids(spark, tmp_path / "table") == [issue["id"] for issue in issues]
    assert run.rows == 3100
    assert 3 <= len(run.batches) <= 4
    again = drain(load(spark, options), tmp_path / "table", tmp_path / "checkpoint")
    assert again.batches == []


def test_2000_issues_of_one_second_all_arrive_once(spark, github_simulator, tmp_path):
    simulator = github_simulator()
    moment = corpus.hours_ago(6)
    issues = [corpus.issue(n + 1, moment) for n in range(2000)]
    simulator.set_records("github", "issues", issues)
    options = github(simulator, max_records_per_batch=500)

    run = drain(load(spark, options), tmp_path / "table", tmp_path / "checkpoint")

    assert ids(spark, tmp_path / "table") == [issue["id"] for issue in issues]
    assert run.rows == 2000
    assert len(run.batches) >= 3
    again = drain(load(spark, options), tmp_path / "table", tmp_path / "checkpoint")
    assert again.batches == []


def test_a_drain_costs_no_more_requests_than_promised(spark, github_simulator, tmp_path):
    simulator = github_simulator()
    rows, page, cap = 2500, 25, 400
    issues = issues_spread_evenly(rows, timedelta(seconds=rows))
    simulator.set_records("github", "issues", issues)
    options = github(simulator, per_page=page, max_records_per_batch=cap)
    simulator.clear_requests()

    run = drain(load(spark, options), tmp_path / "table", tmp_path / "checkpoint")

    assert ids(spark, tmp_path / "table") == [issue["id"] for issue in issues]
    slices = len(run.batches)
    assert slices >= rows // (cap + page)
    assert len(simulator.requests()) <= ceil(rows / (page - 1)) + 2 * slices + 2


def test_a_query_ends_though_the_source_keeps_growing(spark, github_simulator, tmp_path):
    simulator = github_simulator()
    issues = issues_spread_evenly(300, timedelta(seconds=600))
    simulator.set_records("github", "issues", issues)
    simulator.grow(source="github", collection="issues")
    options = github(simulator, per_page=10, max_records_per_batch=50)

    run = drain(load(spark, options), tmp_path / "table", tmp_path / "checkpoint")

    old = {issue["id"] for issue in issues}
    assert old <= set(ids(spark, tmp_path / "table"))
    assert len(simulator.records("github", "issues")) > 300
    assert run.rows >= 300


def test_a_growing_append_table_ends_too(spark, simulator, tmp_path):
    simulator.grow(source="example", collection="events")
    options = example(simulator, "events", limit=10, max_records_per_batch=20)

    run = drain(load(spark, options), tmp_path / "table", tmp_path / "checkpoint")

    delivered = streams.table(spark, tmp_path / "table").select("event_id")
    assert delivered.count() == delivered.distinct().count() == run.rows
    assert run.rows >= 101


def test_deletes_arrive_as_keys_with_their_time(spark, simulator, tmp_path):
    options = example(simulator, "orders", isDeleteFlow="true")
    table, checkpoint = tmp_path / "table", tmp_path / "checkpoint"
    before = drain(load(spark, options), table, checkpoint).rows
    gone = [record["order_id"] for record in simulator.records("example", "orders")[:2]]
    # The service's clock, in whole seconds, must have passed the moment of the deletes.
    simulator.freeze(corpus.instant(corpus.hours_ago(1 / 60)))
    for key in gone:
        simulator.call("DELETE", f"/example/tables/orders/records/{key}", None, BASIC)
    simulator.freeze(corpus.instant(corpus.hours_ago(0)))

    run = drain(load(spark, options), table, checkpoint)

    assert run.rows == 2
    rows = values(streams.table(spark, table), "updated_at")[before:]
    assert [row["order_id"] for row in rows] == gone
    assert all(row["updated_at"] is not None for row in rows)
    assert all(row[name] is None for row in rows for name in ("user_id", "amount", "status"))


def test_a_batch_read_beside_a_stream_changes_nothing_in_it(spark, simulator, tmp_path):
    options = github(simulator, max_records_per_batch=30, per_page=10)
    checkpoint = tmp_path / "checkpoint"
    drain(load(spark, options), tmp_path / "table", checkpoint)
    before = Checkpoint(checkpoint).files()

    everything = read(spark, options).count()

    assert Checkpoint(checkpoint).files() == before
    assert len(ids(spark, tmp_path / "table")) == everything
    made = simulator.call("POST", "/github/repos/o/r/issues", {"title": "New"}, AUTHORIZED)
    read(spark, options).count()
    run = drain(load(spark, options), tmp_path / "table", checkpoint)
    assert run.rows == 1
    assert made["id"] in ids(spark, tmp_path / "table")


def test_a_run_that_ends_leaves_no_rows_in_the_checkpoint(spark, simulator, tmp_path):
    options = github(simulator, max_records_per_batch=30, per_page=10)
    drain(load(spark, options), tmp_path / "table", tmp_path / "checkpoint")

    assert Checkpoint(tmp_path / "checkpoint").slices() == []


#: `user-for-tests:passw0rd-for-tests`.
BASIC = {"Authorization": "Basic dXNlci1mb3ItdGVzdHM6cGFzc3cwcmQtZm9yLXRlc3Rz"}
