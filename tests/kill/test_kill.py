"""Exactly-once: the driver dies at every point of a micro-batch, and the next run makes it whole.

Each case is one driver that dies (a process of its own, in the testing jar) and one restart from
its checkpoint (in this process, with the jar that ships). The place of death is proved twice: by
the line that the fail point left behind, and by what Spark had logged when it died.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from kill.driver import append_once
from support import corpus, environment, processes, streams
from support.rows import values
from support.simulator import Simulator, example
from support.streams import Checkpoint

_EVENTS = [
    corpus.event(n, corpus.hours_ago(5) + timedelta(seconds=10 * (n // 3))) for n in range(100)
]

#: Points that the library reaches before Spark logs the end of the slice, and after.
_BEFORE_LOG = ("page_fetched", "slice_half_written", "slice_complete", "latest_offset_returning")
_AFTER_LOG = ("planned", "first_batch_read", "sink_committed")
_POINTS = (*_BEFORE_LOG, *_AFTER_LOG, "commit_entered")
_WHICH = ("first", "middle", "last")


@dataclass(frozen=True)
class Case:
    """One death: the point, and the micro-batch (from 0) that it belongs to."""

    point: str
    which: str
    batch: int
    folder: Path

    @property
    def table(self) -> Path:
        return self.folder / "table"

    @property
    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.folder / "checkpoint")

    @property
    def fail_file(self) -> Path:
        return self.folder / "failed-at.txt"


@pytest.fixture(scope="module")
def events():
    """The example source with ties across page edges, the same for every case."""
    with Simulator("serve", "--source", "example") as simulator:
        simulator.set_records("example", "events", _EVENTS)
        yield simulator


@pytest.fixture(scope="module")
def expected(spark, events, tmp_path_factory):
    """Number of micro-batches and rows of a run that nobody disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run = streams.drain(
        streams.load(spark, _options(events)), folder / "table", folder / "checkpoint"
    )
    rows = values(streams.table(spark, folder / "table"), "event_id")
    assert [row["event_id"] for row in rows] == [event["event_id"] for event in _EVENTS]
    assert len(run.batches) >= 4, "too few micro-batches for a first, a middle and a last one"

    return len(run.batches), rows


@pytest.fixture(scope="module")
def died(events, expected, tmp_path_factory):
    """Lets every driver die, two at a time."""
    batches, _ = expected
    cases = {}
    for point in _POINTS:
        for which in _WHICH:
            last = batches - 2 if point == "commit_entered" else batches - 1
            batch = {"first": 0, "middle": last // 2, "last": last}[which]
            folder = tmp_path_factory.mktemp(f"{point}-{which}")
            cases[point, which] = Case(point, which, batch, folder)
    with ThreadPoolExecutor(2) as pool:
        results = {key: pool.submit(_let_die, events, case) for key, case in cases.items()}

    return cases, results


def _options(simulator) -> dict:
    return example(simulator, "events", limit=10, max_records_per_batch=20)


def _let_die(simulator, case: Case) -> dict:
    import json

    by_hand = case.point == "sink_committed"
    spec = {
        "jars": [str(jar) for jar in (environment.testing_jar(), *environment.delta_jars())],
        "folder": str(case.folder / "spark"),
        "delta": bool(environment.delta_jars()),
        "options": _options(simulator),
        "format": streams.table_format(),
        "table": str(case.table),
        "checkpoint": str(case.checkpoint.folder),
        "kill_after_sink": case.batch if by_hand else None,
        "result": str(case.folder / "result.json"),
    }
    variables = {"LAKEFLOW_FAIL_FILE": str(case.fail_file)}
    if not by_hand:
        variables["LAKEFLOW_FAIL_POINT"] = f"{case.point}@{case.batch + 1}"
    script = Path(__file__).with_name("driver.py")
    python = environment.python()
    processes.run(python, script, spec, case.folder / "process", environment=variables)

    return json.loads((case.folder / "result.json").read_text())


@pytest.mark.parametrize("which", _WHICH)
@pytest.mark.parametrize("point", _POINTS)
def test_after_a_death_every_event_is_in_the_table_once(
    spark, events, expected, died, point, which
):
    cases, results = died
    case = cases[point, which]
    batches, rows = expected

    # The JVM died where it should.
    assert results[point, which].result()["jvm_exit"] in (137, -9)
    assert case.fail_file.read_text() == f"{point} {case.batch + 1}\n"
    logged, committed = _left_behind(case)
    assert case.checkpoint.logged() == logged
    assert case.checkpoint.committed() == committed
    _assert_slice_files(case)

    # The next run makes it whole.
    end = case.checkpoint.offset(logged[-1])["cursor"] if logged else None
    events.clear_requests()
    frame = streams.load(spark, _options(events))
    if point == "sink_committed":
        act = lambda batch_frame, batch: append_once(batch_frame, batch, case.table)  # noqa: E731
        streams.drain_each(frame, case.checkpoint.folder, act)
    else:
        streams.drain(frame, case.table, case.checkpoint.folder)
    assert values(streams.table(spark, case.table), "event_id") == rows
    assert case.checkpoint.committed() == list(range(batches))

    # What was logged came from the store: nobody asked for its range.
    asked = [r.query.get("since", "") for r in events.requests() if r.path.endswith("/records")]
    if end is not None:
        one_step_back = corpus.parse(end) - timedelta(seconds=1)
        assert all(since and corpus.parse(since) >= one_step_back for since in asked), asked
    if point not in _BEFORE_LOG and which == "last":
        assert len(asked) <= 2, asked


def _left_behind(case: Case) -> tuple[list[int], list[int]]:
    """Batches logged and batches committed at the moment of death."""
    before, with_it = list(range(case.batch)), list(range(case.batch + 1))
    if case.point in _BEFORE_LOG:
        return before, before
    if case.point in _AFTER_LOG:
        return with_it, before

    return [*with_it, case.batch + 1], with_it


def _assert_slice_files(case: Case):
    logged = {case.checkpoint.offset(batch)["slice"] for batch in case.checkpoint.logged()}
    orphans = [path for path in case.checkpoint.slices() if path.stem not in logged]
    expected = 0 if case.point == "page_fetched" or case.point not in _BEFORE_LOG else 1
    assert len(orphans) == expected, orphans
