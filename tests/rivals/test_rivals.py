"""Two drivers on one checkpoint, by mistake: no row is wrong, and Spark says what happened."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from support import corpus, environment, processes, streams
from support.rows import values
from support.simulator import Simulator, example

_EVENTS = [corpus.event(n, corpus.hours_ago(5) + timedelta(seconds=10 * n)) for n in range(150)]


def test_two_drivers_on_one_checkpoint_leave_every_event_once(spark, tmp_path):
    with Simulator("serve", "--source", "example") as simulator:
        simulator.set_records("example", "events", _EVENTS)
        # Slow enough that the first one is still at work when the second has started.
        simulator.fault(path="*/records", kind={"latency": {"ms": 400}}, every=1)
        options = example(simulator, "events", limit=5, max_records_per_batch=5)
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(_run, simulator, options, tmp_path, 0)
            _wait_for(tmp_path / "checkpoint" / "offsets" / "0")
            second = pool.submit(_run, simulator, options, tmp_path, 1)
            errors = [first.result()["error"], second.result()["error"]]
        simulator.clear_faults()

        # Spark's log or Delta's lets one of them go on and tells the other; or the other finds the
        # slice of a batch gone that its rival has committed meanwhile.
        failed = [error for error in errors if error is not None]
        assert failed, "both came to an end: they did not meet"
        known = ("concurrent", "is not in the slice store")
        assert all(any(part in error.lower() for part in known) for error in failed), failed
        frame = streams.load(spark, options)
        streams.drain(frame, tmp_path / "table", tmp_path / "checkpoint")

    rows = values(streams.table(spark, tmp_path / "table"), "event_id")
    assert [row["event_id"] for row in rows] == [event["event_id"] for event in _EVENTS]


def _wait_for(path: Path, seconds: int = 90):
    give_up = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < give_up, f"{path.name} did not appear within {seconds} s"
        time.sleep(0.1)


def _run(simulator, options: dict, folder: Path, number: int) -> dict:
    own = folder / f"driver{number}"
    spec = {
        "jars": [str(jar) for jar in (environment.jar(), *environment.delta_jars())],
        "folder": str(own / "spark"),
        "delta": bool(environment.delta_jars()),
        "options": options,
        "table": str(folder / "table"),
        "checkpoint": str(folder / "checkpoint"),
        "result": str(folder / f"result{number}.json"),
    }
    processes.run(environment.python(), Path(__file__).with_name("driver.py"), spec, own)

    return json.loads(Path(spec["result"]).read_text())
