"""How much a micro-batch takes, where a stream starts, when it looks, and what it refuses."""

from datetime import timedelta

import pytest
from support import corpus, streams
from support.rows import values
from support.simulator import example, github
from support.streams import Checkpoint, drain, drain_each, finish, load, read

BASIC = {"Authorization": "Basic dXNlci1mb3ItdGVzdHM6cGFzc3cwcmQtZm9yLXRlc3Rz"}


def _issues(count: int) -> list[dict]:
    start = corpus.hours_ago(6)
    return [corpus.issue(n + 1, start + timedelta(seconds=10 * n)) for n in range(count)]


def _wait_for(condition, query, seconds: float = 60):
    import time

    end = time.monotonic() + seconds
    while not condition():
        assert query.exception() is None, query.exception()
        assert time.monotonic() < end, f"not within {seconds} s: {query.status}"
        time.sleep(0.02)


@pytest.mark.parametrize("name", ["max_records_per_batch", "maxRowsPerTrigger"])
def test_a_batch_ends_at_the_first_page_at_or_after_its_rows(
    spark, github_simulator, tmp_path, name
):
    simulator = github_simulator()
    simulator.set_records("github", "issues", _issues(100))
    options = github(simulator, per_page=10) | {name: "30"}

    run = drain(load(spark, options), tmp_path / "table", tmp_path / "checkpoint")

    assert run.rows == 100
    assert all(30 <= rows < 30 + 10 for rows in run.batches[:-1])


def test_a_batch_ends_at_the_first_page_at_or_after_its_bytes(spark, github_simulator, tmp_path):
    simulator = github_simulator()
    simulator.set_records("github", "issues", _issues(100))
    options = github(simulator, per_page=10, maxBytesPerTrigger="16k")
    bytes_of = {}

    def note(frame, batch_id):
        frame.collect()
        [file] = Checkpoint(tmp_path / "checkpoint").slices()
        bytes_of[batch_id] = file.stat().st_size

    run = drain_each(load(spark, options), tmp_path / "checkpoint", note)

    assert run.rows == 100
    assert 1 < len(run.batches) < 10
    sizes = [size for _, size in sorted(bytes_of.items())]
    assert all(size >= 16 * 1024 for size in sizes[:-1]), sizes


def test_once_makes_one_batch_of_everything_whatever_the_limits(spark, github_simulator, tmp_path):
    simulator = github_simulator()
    simulator.set_records("github", "issues", _issues(100))
    options = github(simulator, per_page=10, max_records_per_batch=30, maxBytesPerTrigger="1")
    writer = load(spark, options).writeStream.format(streams.table_format()).trigger(once=True)
    query = writer.option("checkpointLocation", str(tmp_path / "c")).start(str(tmp_path / "t"))

    assert finish(query).batches == [100]


@pytest.mark.parametrize("name", ["start_timestamp", "startingTimestamp", "start_date"])
def test_a_stream_starts_at_a_date_at_midnight_utc_and_then_goes_on(
    spark, github_simulator, tmp_path, name
):
    simulator = github_simulator()
    times = ["2024-03-01T23:59:59Z", "2024-03-02T00:00:00Z", "2024-03-02T08:00:00Z"]
    issues = [corpus.issue(n + 1, corpus.parse(time)) for n, time in enumerate(times)]
    simulator.set_records("github", "issues", issues)
    options = github(simulator)
    table, checkpoint = tmp_path / "table", tmp_path / "checkpoint"

    drain(load(spark, options | {name: "2024-03-02"}), table, checkpoint)

    numbers = [row["number"] for row in values(read(spark, options | {name: "2024-03-02"}))]
    assert sorted(numbers) == [2, 3]
    assert [r["number"] for r in values(_delta(spark, table), "number")] == [2, 3]
    again = drain(load(spark, options | {name: "2024-03-01"}), table, checkpoint)
    assert again.batches == [], "the offset counts"


def _delta(spark, table):
    return streams.table(spark, table)


def test_idle_triggers_within_the_poll_interval_ask_nothing(spark, simulator, tmp_path):
    interval = "spark.sql.streaming.noDataProgressEventInterval"
    spark.conf.set(interval, "50")
    try:
        frame = load(spark, github(simulator, minPollInterval="1 hour"))
        writer = frame.writeStream.format(streams.table_format()).trigger(
            processingTime="100 milliseconds"
        )
        query = writer.option("checkpointLocation", str(tmp_path / "c")).start(str(tmp_path / "t"))
    finally:
        spark.conf.unset(interval)
    try:
        _wait_for(lambda: _idle(query) >= 1, query)
        simulator.clear_requests()
        before = _idle(query)

        _wait_for(lambda: _idle(query) >= before + 5, query)

        assert simulator.requests() == []
    finally:
        query.stop()


def _idle(query) -> int:
    """Triggers that have told that they found nothing."""
    return sum(event["numInputRows"] == 0 for event in query.recentProgress)


def test_available_now_looks_within_the_poll_interval_too(spark, simulator, tmp_path):
    options = github(simulator, minPollInterval="1 hour")
    table, checkpoint = tmp_path / "table", tmp_path / "checkpoint"
    drain(load(spark, options), table, checkpoint)
    path, token = "/github/repos/o/r/issues", {"Authorization": "Bearer t0ken-for-tests"}
    simulator.call("POST", path, {"title": "New"}, token)

    assert drain(load(spark, options), table, checkpoint).rows == 1


def test_a_log_that_runs_backwards_is_refused_with_both_places(spark, github_simulator, tmp_path):
    options, checkpoint, _ = _three_batches(spark, github_simulator, tmp_path)
    first = Checkpoint(checkpoint).offset_texts(0)[0]
    last = checkpoint / "offsets" / "2"
    lines = last.read_text().splitlines()
    last.write_text("\n".join([*lines[:2], first]))
    (checkpoint / "offsets" / ".2.crc").unlink()
    _uncommit(checkpoint, 2)

    with pytest.raises(Exception) as failure:
        drain_each(load(spark, options), checkpoint, lambda frame, _: frame.collect())

    message = str(failure.value)
    assert "the batch ends at slice 1 (cursor '" in message
    assert "which does not come after its start at slice 2 (cursor '" in message
    assert "restore all of it, or use a new checkpoint" in message


def test_a_lost_slice_fails_the_stream_unless_loss_is_allowed(spark, github_simulator, tmp_path):
    options, checkpoint, delivered = _three_batches(spark, github_simulator, tmp_path)
    _uncommit(checkpoint, 2)
    with pytest.raises(Exception) as failure:
        drain_each(load(spark, options), checkpoint, lambda frame, _: frame.collect())
    assert "is not in the slice store" in str(failure.value)
    assert "set option 'failOnDataLoss' to false" in str(failure.value)

    again = {}

    def keep(frame, batch_id):
        again[batch_id] = sorted(row.number for row in frame.select("number").collect())

    drain_each(load(spark, options | {"failOnDataLoss": "false"}), checkpoint, keep)

    assert again == {2: delivered[2]}, "the batch that was lost, and no more"


def _three_batches(spark, github_simulator, tmp_path):
    """A stream that has committed batches 0 to 2: options, checkpoint, numbers by batch."""
    simulator = github_simulator()
    simulator.set_records("github", "issues", _issues(90))
    options = github(simulator, per_page=10, max_records_per_batch=30, lookback_seconds=0)
    delivered = {}

    def keep(frame, batch_id):
        delivered[batch_id] = sorted(row.number for row in frame.select("number").collect())

    drain_each(load(spark, options), tmp_path / "checkpoint", keep)
    assert sorted(delivered) == [0, 1, 2]

    return options, tmp_path / "checkpoint", delivered


def _uncommit(checkpoint, batch: int):
    """Makes Spark run a batch again."""
    for name in (f"{batch}", f".{batch}.crc"):
        (checkpoint / "commits" / name).unlink()


@pytest.mark.parametrize("flag", ["true", "TRUE"])
def test_a_batch_read_of_the_delete_flow_has_the_keys_that_are_gone(spark, simulator, flag):
    gone = [record["order_id"] for record in simulator.records("example", "orders")[:2]]
    options = example(simulator, "orders", isDeleteFlow=flag)
    before = {row["order_id"] for row in values(read(spark, options))}
    for key in gone:
        simulator.call("DELETE", f"/example/tables/orders/records/{key}", None, BASIC)

    rows = [row for row in values(read(spark, options)) if row["order_id"] not in before]

    assert sorted(row["order_id"] for row in rows) == sorted(gone)
    assert all(row["updated_at"] is not None and row["amount"] is None for row in rows)
