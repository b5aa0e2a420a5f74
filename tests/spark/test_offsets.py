"""A checkpoint continues only what it was made for."""

import pytest
from support import streams
from support.simulator import example, github
from support.streams import Checkpoint, drain, load


def _refused(spark, frame, tmp_path) -> str:
    before = Checkpoint(tmp_path / "checkpoint").files()
    with pytest.raises(Exception) as failure:
        drain(frame, tmp_path / "table", tmp_path / "checkpoint")
    logs = [name for name in before if name.startswith(("offsets/", "commits/"))]
    after = Checkpoint(tmp_path / "checkpoint").files()
    assert [after[name] for name in logs] == [before[name] for name in logs]

    return str(failure.value)


def test_another_repository_is_refused_by_name(spark, simulator, tmp_path):
    options = github(simulator, "acme/widgets")
    drain(load(spark, options), tmp_path / "table", tmp_path / "checkpoint")
    simulator.clear_requests()

    message = _refused(spark, load(spark, options | {"repo": "gears"}), tmp_path)

    assert "repo" in message and "widgets" in message and "gears" in message
    assert "checkpoint" in message
    assert simulator.requests() == []


def test_another_host_is_refused_by_name(spark, simulator, github_simulator, tmp_path):
    options = github(simulator)
    drain(load(spark, options), tmp_path / "table", tmp_path / "checkpoint")
    other = github_simulator()

    message = _refused(spark, load(spark, github(other)), tmp_path)

    assert "base_url" in message
    assert other.requests() == []


def test_another_table_is_refused(spark, simulator, tmp_path):
    drain(load(spark, example(simulator, "users")), tmp_path / "table", tmp_path / "checkpoint")
    simulator.clear_requests()

    frame = load(spark, example(simulator, "orders"))
    message = _refused(spark, frame.selectExpr("order_id as user_id"), tmp_path)

    assert "users" in message and "orders" in message


def test_swapped_sides_of_a_union_are_refused(spark, simulator, tmp_path):
    widgets = github(simulator, "acme/widgets")
    gears = github(simulator, "acme/gears")
    frame = load(spark, widgets).union(load(spark, gears))
    run = drain(frame, tmp_path / "table", tmp_path / "checkpoint")
    assert run.rows > 0
    simulator.clear_requests()

    message = _refused(spark, load(spark, gears).union(load(spark, widgets)), tmp_path)

    assert "repo" in message
    assert simulator.requests() == []


def test_a_union_with_an_empty_side_and_the_same_table_twice_reads_each_side(
    spark, simulator, tmp_path
):
    options = github(simulator)
    one, other = load(spark, options), load(spark, options)
    run = drain(one.union(other), tmp_path / "table", tmp_path / "checkpoint")
    again = drain(one.union(other), tmp_path / "table", tmp_path / "checkpoint")

    table = streams.table(spark, tmp_path / "table")
    assert table.count() == run.rows == 2 * table.select("id").distinct().count()
    assert again.batches == []


def test_caps_and_tokens_change_freely(spark, simulator, tmp_path):
    options = github(simulator, max_records_per_batch=30, per_page=10)
    drain(load(spark, options), tmp_path / "table", tmp_path / "checkpoint")

    changed = options | {"max_records_per_batch": "50", "per_page": "25", "token": "another-one"}
    run = drain(load(spark, changed), tmp_path / "table", tmp_path / "checkpoint")

    assert run.batches == []
