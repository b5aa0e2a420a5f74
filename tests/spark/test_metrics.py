"""What Spark shows of a read: at the scan in the UI, and in the progress of a stream."""

from datetime import timedelta

from support import corpus, metrics
from support.simulator import github
from support.streams import Checkpoint, drain_each, finish, load, read

_STORED = "slice_store_bytes"


def _issues(count: int, **more) -> list[dict]:
    start = corpus.hours_ago(6)
    return [corpus.issue(n + 1, start + timedelta(seconds=10 * n), **more) for n in range(count)]


def _noop(spark, options, tmp_path):
    writer = load(spark, options).writeStream.format("noop").trigger(availableNow=True)
    return finish(writer.option("checkpointLocation", str(tmp_path / "checkpoint")).start())


def test_a_batch_read_shows_what_its_task_asked_and_got(spark, github_simulator):
    simulator = github_simulator()
    simulator.set_records("github", "issues", _issues(40))
    wait = {"status": {"code": 429, "headers": {"retry-after": "1"}}}
    simulator.fault(path="/github/*", kind=wait, nth=2)
    mark = metrics.mark(spark)

    read(spark, github(simulator, per_page=20)).write.format("noop").mode("append").save()

    shown = metrics.shown(spark, mark)
    log = simulator.requests()
    assert [request.status for request in log].count(429) == 1
    assert shown.pop("API requests") == len(log)
    assert shown.pop("API retries") == 1
    assert 1000 <= shown.pop("API throttling (ms)") < 5000
    assert shown.pop("records") == 40
    assert shown.pop("Arrow bytes") > 40 * 100
    assert shown.pop("values made null") == 0


def test_values_made_null_are_counted_in_batches_and_streams(spark, github_simulator, tmp_path):
    simulator = github_simulator()
    broken = _issues(3, comments="many")
    simulator.set_records("github", "issues", broken + _issues(10)[3:])
    options = github(simulator, onCoercionError="null")
    mark = metrics.mark(spark)
    read(spark, options).write.format("noop").mode("append").save()
    batch = metrics.shown(spark, mark)
    mark = metrics.mark(spark)
    _noop(spark, options, tmp_path)
    stream = metrics.shown(spark, mark)

    assert batch["values made null"] == stream["values made null"] == 3
    assert batch["records"] == stream["records"] == 10


def test_a_stream_shows_the_requests_of_its_driver_and_the_bytes_of_its_tasks(
    spark, github_simulator, tmp_path
):
    simulator = github_simulator()
    simulator.set_records("github", "issues", _issues(40))
    options = github(simulator)
    mark = metrics.mark(spark)
    read(spark, options).write.format("noop").mode("append").save()
    batch = metrics.shown(spark, mark)
    simulator.clear_requests()
    mark = metrics.mark(spark)

    run = _noop(spark, options, tmp_path)

    stream = metrics.shown(spark, mark)
    assert run.batches == [40]
    assert stream["API requests"] == len(simulator.requests())
    assert stream["records"] == 40
    assert stream["Arrow bytes"] == batch["Arrow bytes"]
    assert stream["API retries"] == stream["API throttling (ms)"] == 0


def test_progress_tells_lag_requests_and_the_size_of_the_store(spark, github_simulator, tmp_path):
    simulator = github_simulator()
    simulator.set_records("github", "issues", _issues(90))
    now = corpus.hours_ago(1)
    simulator.freeze(corpus.instant(now))
    simulator.fault(path="/github/*", kind={"status": {"code": 503}}, nth=2)
    options = github(simulator, per_page=10, max_records_per_batch=30, prefetch="false")
    checkpoint = Checkpoint(tmp_path / "checkpoint")
    asked, stored = {}, {}

    def note(frame, batch_id):
        frame.collect()
        asked[batch_id] = len(simulator.requests())
        store = checkpoint.folder / "sources" / "0"
        files = [f for name in ("slices", "state") for f in (store / name).iterdir()]
        stored[batch_id] = sum(f.stat().st_size for f in files if not f.name.endswith(".crc"))

    run = drain_each(load(spark, options), checkpoint.folder, note)

    events = {e["batchId"]: e["sources"][0]["metrics"] for e in run.progress if e["numInputRows"]}
    assert sorted(events) == [0, 1, 2]
    for batch, told in events.items():
        cursor = corpus.parse(checkpoint.offset(batch)["cursor"])
        lag = 0 if batch == 2 else (now - cursor) // timedelta(milliseconds=1)
        assert told == {
            "lag_ms": str(lag),
            "records": str(sum(run.batches[: batch + 1])),
            "requests": str(asked[batch]),
            "retries": "1",
            "throttled_ms": "0",
            _STORED: str(stored[batch]),
        }
