"""The recipes of docs/reading.md: starting over, going back to a point, restoring a checkpoint."""

import shutil
from datetime import timedelta

import pytest
from support import corpus, streams
from support.rows import values
from support.simulator import Connection, github
from support.streams import drain, load

_START = corpus.hours_ago(6)


@pytest.fixture
def service(github_simulator) -> Connection:
    """Issues 1 to 30, a minute apart."""
    simulator = github_simulator()
    issues = [corpus.issue(n, _START + timedelta(minutes=n)) for n in range(1, 31)]
    simulator.set_records("github", "issues", issues)

    return simulator


def _change(service: Connection, *numbers: int, title: str):
    """Gives issues a new title, each at a time after all others."""
    issues = {issue["number"]: issue for issue in service.records("github", "issues")}
    latest = max(corpus.parse(issue["updated_at"]) for issue in issues.values())
    for step, number in enumerate(numbers, start=1):
        at = corpus.instant(latest + timedelta(minutes=step))
        issues[number] |= {"title": title, "updated_at": at}
    service.set_records("github", "issues", list(issues.values()))


def _titles(spark, table) -> list[tuple[int, str]]:
    """Number and title of every row, in the order of numbers."""
    rows = values(streams.table(spark, table))
    return sorted((row["number"], row["title"]) for row in rows)


def test_a_new_checkpoint_starts_over(spark, service, tmp_path):
    options = github(service)
    drain(load(spark, options), tmp_path / "table", tmp_path / "checkpoint")

    drain(load(spark, options), tmp_path / "new_table", tmp_path / "new_checkpoint")

    assert _titles(spark, tmp_path / "new_table") == _titles(spark, tmp_path / "table")
    assert len(_titles(spark, tmp_path / "table")) == 30


@pytest.mark.delta
def test_a_new_checkpoint_with_a_start_goes_back_to_that_point(spark, service, tmp_path):
    options = github(service)
    drain(load(spark, options), tmp_path / "table", tmp_path / "checkpoint")
    point = corpus.instant(_START + timedelta(minutes=21))

    back = options | {"start_timestamp": point}
    run = drain(load(spark, back), tmp_path / "table", tmp_path / "new_checkpoint")

    assert run.rows == 10
    numbers = [number for number, _ in _titles(spark, tmp_path / "table")]
    assert numbers == sorted([*range(1, 31), *range(21, 31)])


@pytest.mark.delta
def test_a_restored_checkpoint_delivers_once_more_what_came_after_it(spark, service, tmp_path):
    options, checkpoint = github(service), tmp_path / "checkpoint"
    drain(load(spark, options), tmp_path / "table", checkpoint)
    shutil.copytree(checkpoint, tmp_path / "backup")
    _change(service, 3, 7, title="Changed")
    drain(load(spark, options), tmp_path / "table", checkpoint)
    shutil.rmtree(checkpoint)
    shutil.copytree(tmp_path / "backup", checkpoint)
    _change(service, 7, 9, title="Changed again")

    drain(load(spark, options), tmp_path / "new_table", checkpoint)

    assert _titles(spark, tmp_path / "new_table") == [
        (3, "Changed"),
        (7, "Changed again"),
        (9, "Changed again"),
    ]


@pytest.mark.delta
def test_a_delta_table_skips_the_batches_of_a_restored_checkpoint_that_it_has(
    spark, service, tmp_path
):
    options, checkpoint = github(service), tmp_path / "checkpoint"
    drain(load(spark, options), tmp_path / "table", checkpoint)
    shutil.copytree(checkpoint, tmp_path / "backup")
    _change(service, 3, title="Changed")
    drain(load(spark, options), tmp_path / "table", checkpoint)
    before = _titles(spark, tmp_path / "table")
    shutil.rmtree(checkpoint)
    shutil.copytree(tmp_path / "backup", checkpoint)
    _change(service, 9, title="Lost")

    drain(load(spark, options), tmp_path / "table", checkpoint)

    assert _titles(spark, tmp_path / "table") == before
