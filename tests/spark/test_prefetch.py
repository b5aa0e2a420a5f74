"""The driver reads the next slice of a backlog while Spark works on the last one."""

import time
from datetime import timedelta

import pytest
from support import corpus
from support.rows import values
from support.simulator import github
from support.streams import Checkpoint, drain_each, load

_ROWS, _PAGE, _CAP = 100, 10, 20


@pytest.fixture
def source(github_simulator):
    """A simulator with 100 issues, in the order of their numbers, and options for slices of 20."""
    simulator = github_simulator()
    start = corpus.hours_ago(6)
    issues = [corpus.issue(n + 1, start + timedelta(seconds=10 * n)) for n in range(_ROWS)]
    simulator.set_records("github", "issues", issues)
    simulator.clear_requests()

    return simulator, github(
        simulator, per_page=_PAGE, max_records_per_batch=_CAP, lookback_seconds=0
    )


def _wait_for(condition, seconds: float = 60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.01)


def test_the_next_slice_is_requested_before_the_last_one_is_committed(spark, source, tmp_path):
    simulator, options = source
    checkpoint = Checkpoint(tmp_path / "checkpoint")
    seen = []

    def slow(frame, batch):
        numbers = {row.number for row in frame.select("number").collect()}
        reached = corpus.parse(_cursor(checkpoint, batch))
        if max(numbers) < _ROWS:
            # The sink is done only once the service was asked for what comes after its rows.
            _wait_for(lambda: any(_since(r) > reached for r in simulator.requests()))
        seen.append((checkpoint.committed(), numbers))

    drain_each(load(spark, options), tmp_path / "checkpoint", slow)

    assert len(seen) >= 4
    assert [committed for committed, _ in seen] == [list(range(n)) for n in range(len(seen))]
    assert sorted(number for _, numbers in seen for number in numbers) == list(range(1, _ROWS + 1))


def test_switched_off_nothing_is_requested_while_the_sink_works(spark, source, tmp_path):
    simulator, options = source
    requests = []

    def watch(frame, batch):
        before = len(simulator.requests())
        frame.collect()
        requests.append(len(simulator.requests()) - before)

    run = drain_each(load(spark, options | {"prefetch": "false"}), tmp_path / "checkpoint", watch)

    assert run.rows == _ROWS
    assert requests == [0] * len(run.batches)


def _cursor(checkpoint: Checkpoint, batch: int) -> str:
    return checkpoint.offset(batch)["cursor"]


def _since(request):
    return corpus.parse(request.query.get("since", "2000-01-01T00:00:00Z"))


def test_a_drain_costs_the_same_requests_and_gives_the_same_batches(spark, source, tmp_path):
    simulator, options = source
    seen = {}
    for prefetch in ("false", "true"):
        simulator.clear_requests()
        batches = []

        def keep(frame, _, batches=batches):
            batches.append(values(frame, "number"))

        frame = load(spark, options | {"prefetch": prefetch})
        drain_each(frame, tmp_path / prefetch, keep)
        seen[prefetch] = batches, [(r.path, r.query) for r in simulator.requests()]

    assert len(seen["true"][0]) >= 4
    assert seen["true"] == seen["false"]


@pytest.mark.parametrize("option", ["prefetch", "maxPrefetchBytes"])
def test_a_bad_value_is_refused_before_the_query_starts(spark, source, option):
    _, options = source
    with pytest.raises(Exception, match=f"option '{option}' must be .*, got \"perhaps\""):
        load(spark, options | {option: "perhaps"})


def test_once_reads_nothing_ahead(spark, source, tmp_path):
    simulator, options = source
    requests = []

    def watch(frame, _):
        before = len(simulator.requests())
        frame.collect()
        requests.append(len(simulator.requests()) - before)

    writer = load(spark, options).writeStream.foreachBatch(watch).trigger(once=True)
    query = writer.option("checkpointLocation", str(tmp_path / "checkpoint")).start()
    assert query.awaitTermination(120)

    assert requests == [0]


@pytest.mark.parametrize("trigger", [{"processingTime": "1 hour"}, {"availableNow": True}])
def test_a_query_that_is_stopped_while_it_reads_ahead_ends_within_two_seconds(
    spark, source, tmp_path, trigger
):
    """Between two triggers, and where the next micro-batch waits for what is read ahead."""
    simulator, options = source
    first = _requests_of_the_first_slice(spark, source, tmp_path / "plain")
    simulator.fault(path="/github/*", kind="black_hole", nth=first + 1)
    writer = load(spark, options).writeStream.format("noop").trigger(**trigger)
    query = writer.option("checkpointLocation", str(tmp_path / "checkpoint")).start()
    checkpoint = Checkpoint(tmp_path / "checkpoint")
    _wait_for(lambda: len(simulator.requests()) == first + 1 and checkpoint.committed() == [0])

    started = time.monotonic()
    query.stop()
    took = time.monotonic() - started

    assert took < 2, f"{took:.1f} s"
    assert query.exception() is None
    assert [path.stem for path in checkpoint.slices()] == [checkpoint.offset(0)["slice"]]
    assert len(simulator.requests()) == first + 1


def _requests_of_the_first_slice(spark, source, checkpoint) -> int:
    """How often the service is asked for one micro-batch; its log is empty again afterwards."""
    simulator, options = source
    writer = load(spark, options | {"prefetch": "false"}).writeStream.format("noop")
    writer = writer.trigger(processingTime="1 hour").option("checkpointLocation", str(checkpoint))
    query = writer.start()
    _wait_for(lambda: Checkpoint(checkpoint).committed() == [0])
    query.stop()
    count = len(simulator.requests())
    simulator.clear_requests()

    return count
