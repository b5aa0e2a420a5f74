"""One checkpoint, two doors: each continues what the other began, ended or killed.

A killed stream has a logged batch whose rows are in the table and that Spark did not note as done:
the next run gets it again.
"""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from support import corpus, environment, processes, wheel
from support.simulator import Simulator, example
from support.streams import Checkpoint

#: Groups of three with one instant, which pages of ten cut.
_EVENTS = corpus.events_in_threes(60)
_HALF = _EVENTS[:30]

#: Lines of both ways of PySpark to run a stream.
_LINES = ("4_1", "4_3")


class Play:
    """Runs of the two doors over one simulator, each in a process of its own."""

    def __init__(self, line: str, folder: Path, simulator: Simulator, replayed: Simulator):
        self._line = line
        self._folder = folder
        self._python = wheel.with_spark(folder / "environment", line)
        self._simulator = simulator
        # Killed streams have a simulator of their own: what it is asked is what they asked.
        self._replayed = replayed

    def run(self, door: str, streams: list[dict], dies: dict | None = None) -> dict:
        """Runs streams to their end, and one until it is killed in its first batch."""
        folder = self._folder / f"{door}-{'begins' if dies else 'goes-on'}"
        spec = {
            "jars": [str(environment.jar())] if door == "java" else [],
            "folder": str(folder / "spark"),
            "streams": streams,
            "dies": dies
            and {k: dies[k] for k in ("options", "table", "checkpoint")} | {"batch": 0},
            "result": str(folder / "result.json"),
        }
        script = Path(__file__).with_name("spark_driver.py")
        python = environment.python(self._line) if door == "java" else self._python
        alone = {} if door == "java" else wheel.alone(python)
        processes.run(python, script, spec, folder, environment=alone)

        return json.loads((folder / "result.json").read_text())["streams"]

    def go_on(self, door: str, streams: list[dict]) -> tuple[dict, list[str]]:
        """Continues streams of the other door; the first is the one that has its slices."""
        self._replayed.clear_requests()
        killed = self.run(door, streams)
        asked = [r for r in self._replayed.requests() if r.path.endswith("/records")]

        return killed, [request.query.get("since", "") for request in asked]

    def ended(self, door: str) -> list[dict]:
        """A stream with a store, and one without."""
        name = f"{door}-ended"

        return [
            self._stream(name, self._simulator, sliceStore=self.store(name)),
            self._stream(f"{name}-bare", self._simulator),
        ]

    def killed(self, door: str, suffix: str = "", **options) -> dict:
        """The stream that is killed, or its copy without slices, which asks the other simulator."""
        if suffix:
            options["allowChangedOptions"] = "base_url"
        service = self._simulator if suffix else self._replayed

        return self._stream(f"{door}-killed{suffix}", service, **options)

    def _stream(self, name: str, service: Simulator, **options) -> dict:
        folder = self._folder / name

        return {
            "name": name,
            "options": example(service, "events", limit=10, max_records_per_batch=20) | options,
            "table": str(folder / "table"),
            "checkpoint": str(folder / "checkpoint"),
        }

    def copy(self, name: str, to: str):
        """Copies checkpoint and table of a stream, and none of its slices."""
        left_out = shutil.ignore_patterns("sources", "store")
        shutil.copytree(self._folder / name, self._folder / to, ignore=left_out)

    def store(self, name: str) -> str:
        """A folder for the slices of a stream."""
        return str(self._folder / name / "store")

    def left(self, name: str) -> tuple[list[int], list[int]]:
        """Batches that a stream has logged, and those that it has ended."""
        checkpoint = Checkpoint(self._folder / name / "checkpoint")

        return checkpoint.logged(), checkpoint.committed()


@pytest.fixture(scope="module")
def plays(tmp_path_factory):
    """The runs of each line, two lines at a time."""
    folders = {line: tmp_path_factory.mktemp(f"doors-{line}") for line in _LINES}
    with ThreadPoolExecutor(2) as pool:
        yield {line: pool.submit(_play, line, folder) for line, folder in folders.items()}


@pytest.fixture(params=_LINES)
def seen(request, plays):
    """The runs of one line: what they left, and what their continuations gave."""
    return plays[request.param].result()


def _play(line: str, folder: Path) -> dict:
    with _events() as simulator, _events() as replayed:
        play = Play(line, folder, simulator, replayed)
        by_java, by_python = play.ended("java"), play.ended("python")
        play.run("java", by_java, play.killed("java"))
        play.run("python", by_python, play.killed("python", sliceStore=play.store("python-killed")))
        left = {door: play.left(f"{door}-killed") for door in ("java", "python")}
        for door in left:
            play.copy(f"{door}-killed", f"{door}-killed-bare")

        for service in (simulator, replayed):
            service.set_records("example", "events", _EVENTS)
        slices = f"{folder}/java-killed/checkpoint/sources/0"
        again = [play.killed("java", sliceStore=slices), play.killed("java", "-bare")]
        seen, asked = play.go_on("python", [*again, *by_java])
        slices = play.store("python-killed")
        bare = play.killed("python", "-bare", failOnDataLoss="false")
        again = [play.killed("python", sliceStore=slices), bare]
        more, asked_more = play.go_on("java", [*again, *by_python])

    return {"streams": seen | more, "left": left, "asked": {"java": asked, "python": asked_more}}


def _events() -> Simulator:
    simulator = Simulator("serve", "--source", "example")
    simulator.set_records("example", "events", _HALF)

    return simulator


def _ids(rows: list[dict]) -> list[str]:
    return [row["event_id"] for row in rows]


@pytest.mark.parametrize("first", ("java", "python"))
def test_a_killed_stream_left_a_batch_that_is_logged_and_not_done(seen, first):
    assert seen["left"][first] == ([0], [])


@pytest.mark.parametrize("suffix", ("", "-bare"))
@pytest.mark.parametrize("first", ("java", "python"))
def test_a_stream_that_ended_goes_on_through_the_other_door(seen, first, suffix):
    stream = seen["streams"][f"{first}-ended{suffix}"]

    assert _ids(stream["rows"]) == _ids(_EVENTS)
    assert sum(sum(run) for run in stream["runs"]) == len(_EVENTS) - len(_HALF)
    assert stream["runs"][-1] == []


@pytest.mark.parametrize("first", ("java", "python"))
def test_a_logged_batch_comes_from_the_store_through_the_other_door(seen, first):
    stream = seen["streams"][f"{first}-killed"]

    assert _ids(stream["rows"]) == _ids(_EVENTS)
    # Nobody asked for what the batch holds: the first question begins where it ended.
    end = corpus.parse(_EVENTS[stream["runs"][0][0] - 1]["created_at"])
    asked = seen["asked"][first]
    one_step_back = end - timedelta(seconds=1)
    assert asked and all(since and corpus.parse(since) >= one_step_back for since in asked), asked


@pytest.mark.parametrize("first", ("java", "python"))
def test_a_logged_batch_without_its_slice_is_read_again_through_the_other_door(seen, first):
    rows = _ids(seen["streams"][f"{first}-killed-bare"]["rows"])

    assert sorted(set(rows)) == _ids(_EVENTS)
    # It ends with the page that holds the end of the batch, so a page may come twice.
    assert len(rows) <= len(_EVENTS) + 10
