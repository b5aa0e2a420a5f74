"""Batch reads in splits: many tasks ask for a part each, and together they give the whole."""

from datetime import timedelta

import pytest
from support import corpus, metrics, streams
from support.rows import values
from support.simulator import example, github, shopify, spread_commits, spread_shop
from support.streams import Checkpoint, drain, load, read

_BOUNDS = ("created_at_min", "created_at_max")


@pytest.fixture(scope="module")
def shop():
    """300 products of 30 days."""
    with spread_shop(300, days=30) as simulator:
        yield simulator


def _products(simulator, **more) -> dict:
    return shopify(simulator, limit=20, **more)


def _splits(simulator) -> list[tuple]:
    """Bounds of the requests since the last call, each pair once."""
    asked = {tuple(r.query.get(name, "") for name in _BOUNDS) for r in simulator.requests()}
    simulator.clear_requests()

    return sorted(asked - {("", "")})


def test_a_table_with_an_unchanging_field_is_split_for_the_tasks_that_run_at_once(spark, shop):
    whole = values(read(spark, _products(shop, numPartitions=1)), "id")
    assert _splits(shop) == []

    planned = corpus.hours_ago(0)
    rows = values(read(spark, _products(shop)), "id")

    splits = _splits(shop)
    assert rows == whole
    assert len(rows) == 300
    assert len(splits) == 3 * spark.sparkContext.defaultParallelism
    assert splits[0][0] == ""
    ends = [corpus.parse(upto) for _, upto in splits]
    begins = [corpus.parse(begin) for begin, _ in splits[1:]]
    assert [end + timedelta(seconds=1) for end in ends[:-1]] == begins
    assert planned - timedelta(minutes=1) <= ends[-1] <= corpus.hours_ago(0)


def test_columns_of_a_split_are_asked_for_with_the_field_that_it_is_split_by(spark, shop):
    shop.clear_requests()
    rows = read(spark, _products(shop, numPartitions=3)).select("title").collect()

    assert len(rows) == 300
    asked = {request.query["fields"] for request in shop.requests()}
    assert asked == {"created_at,id,updated_at", "title,id,updated_at,created_at"}


def test_what_the_planning_asks_for_is_in_the_metrics(spark, shop):
    shop.clear_requests()
    mark = metrics.mark(spark)

    read(spark, _products(shop)).write.format("noop").mode("append").save()

    shown = metrics.shown(spark, mark)
    assert shown["API requests"] == len(shop.requests())
    assert shown["records"] == 300


def test_plans_and_limits_are_not_split_and_explaining_asks_for_nothing(spark, shop):
    shop.clear_requests()
    frame = read(spark, _products(shop))
    frame._jdf.queryExecution().executedPlan().toString()
    assert shop.requests() == []

    assert len(frame.limit(5).collect()) == 5
    assert _splits(shop) == []


def test_an_order_that_moves_is_split_on_request(spark, simulator):
    whole = values(read(spark, github(simulator)), "id")
    simulator.clear_requests()

    frame = read(spark, github(simulator, numPartitions=5))

    assert frame.rdd.getNumPartitions() == 5
    assert values(frame, "id") == whole
    assert values(read(spark, github(simulator)), "id") == whole


@pytest.mark.parametrize(
    "option, value, message",
    [
        ("tableName", "labels", None),
        ("tableName", "branches", "does not apply to table 'branches': it has no order"),
        ("tableName", "reviews", "does not apply to table 'reviews': its records lie below"),
        ("numPartitions", "0", 'must be a whole number from 1 to 10000, got "0"'),
    ],
)
def test_what_cannot_be_split_is_refused_before_the_query(spark, simulator, option, value, message):
    options = github(simulator, numPartitions=4) | {option: value}
    with pytest.raises(Exception) as failure:
        read(spark, options)

    assert (message or "unknown table 'labels'") in str(failure.value)


@pytest.fixture
def commits(simulator):
    """90 commits, made one after the other over the last 300 days."""
    return spread_commits(simulator, "acme/widgets", days=300, count=90)


def test_a_stream_that_is_far_behind_is_read_by_tasks(spark, simulator, commits, tmp_path):
    options = github(
        simulator, "acme/widgets", "commits", streamReads="executors",
        window_seconds=86400, lookback_seconds=864000,
    )  # fmt: skip
    table, checkpoint = tmp_path / "table", Checkpoint(tmp_path / "checkpoint")

    first = drain(load(spark, options), table, checkpoint.folder)

    assert checkpoint.offset(0)["by_split"] is True
    assert "by_split" not in checkpoint.offset(1)
    assert 0 < first.batches[1] < first.batches[0] and len(first.batches) == 2
    rows = [row.sha for row in streams.table(spark, table).collect()]
    assert sorted(rows) == sorted(record["sha"] for record in commits)
    begun = {request.query.get("since") for request in simulator.requests()}
    assert len(begun) > 3 * spark.sparkContext.defaultParallelism

    assert drain(load(spark, options), table, checkpoint.folder).rows == 0
    late = commits[0] | {"sha": "f" * 40}
    late["commit"]["committer"]["date"] = corpus.instant(corpus.hours_ago(1))
    simulator.set_records("github", "acme/widgets/commits", [*commits[1:], late])
    assert drain(load(spark, options), table, checkpoint.folder).batches == [1]


def test_deletes_come_in_slices_where_tasks_read_the_rows(spark, simulator, tmp_path):
    options = example(simulator, "orders", isDeleteFlow="true", streamReads="executors")
    made = corpus.spread(3, days=3)
    deleted = [{"order_id": f"d{n}", "updated_at": at} for n, at in enumerate(made)]
    simulator.set_records("example", "deleted_orders", deleted)
    table, checkpoint = tmp_path / "table", Checkpoint(tmp_path / "checkpoint")

    drain(load(spark, options), table, checkpoint.folder)

    rows = streams.table(spark, table).collect()
    assert sorted(row.order_id for row in rows) == ["d0", "d1", "d2"]
    assert "by_split" not in checkpoint.offset(0)


def test_a_stream_that_tasks_cannot_read_says_so_at_its_start(spark, simulator, tmp_path):
    frame = load(spark, github(simulator, streamReads="executors"))
    with pytest.raises(Exception) as failure:
        drain(frame, tmp_path / "table", tmp_path / "checkpoint")

    assert "option 'streamReads' cannot be executors for table 'issues'" in str(failure.value)
