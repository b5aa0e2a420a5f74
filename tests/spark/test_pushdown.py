"""What a batch query needs is asked of the service: less is sent, and the answer is the same."""

import random

import pytest
from pyspark.sql import functions as F
from support.rows import values
from support.simulator import Simulator, github, shopify
from support.streams import read


@pytest.fixture
def shop():
    with Simulator("serve", "--source", "shopify", "--rows", "shopify/products=300") as simulator:
        yield simulator


def _plan(frame) -> str:
    return frame._jdf.queryExecution().executedPlan().toString()


def test_a_bound_of_the_cursor_is_asked_of_the_service_and_shown_in_the_plan(spark, simulator):
    whole = values(read(spark, github(simulator)), "id")
    bound = sorted(row["updated_at"] for row in whole)[-20]
    simulator.clear_requests()

    frame = read(spark, github(simulator)).where(F.col("updated_at") >= bound)
    rows = values(frame, "id")

    assert rows == [row for row in whole if row["updated_at"] >= bound]
    assert 20 <= len(rows) < len(whole)
    plan = _plan(frame)
    assert "PushedFilters: [updated_at >= " in plan
    asked = simulator.requests()
    assert all(request.query["since"][:10] < str(bound)[:10] for request in asked)
    assert sum(request.rows for request in asked) < len(whole)


def test_a_value_that_the_service_filters_by_is_asked_for_and_shown_in_the_plan(spark, simulator):
    whole = values(read(spark, github(simulator)), "id")
    all_bytes = sum(request.bytes for request in simulator.requests())
    simulator.clear_requests()

    frame = read(spark, github(simulator)).where(F.col("state") == "closed")
    rows = values(frame, "id")

    assert rows == [row for row in whole if row["state"] == "closed"]
    assert 0 < len(rows) < len(whole)
    assert "PushedFilters: [state = 'closed']" in _plan(frame)
    asked = [request for request in simulator.requests() if "state" in request.query]
    assert {request.query["state"] for request in asked} == {"closed"}
    assert sum(request.bytes for request in simulator.requests()) < all_bytes


def test_a_value_that_the_service_does_not_know_or_an_option_rules_out_is_not_asked_for(
    spark, simulator
):
    options = github(simulator)
    frames = [
        read(spark, options).where(F.col("state") == "CLOSED"),
        read(spark, options).where(F.col("state") != "open"),
        read(spark, options | {"state": "open"}).where(F.col("state") == "closed"),
    ]

    counts = [frame.count() for frame in frames]

    assert counts[0] == counts[2] == 0
    assert counts[1] > 0
    assert all("PushedFilters: [" in _plan(frame) for frame in frames)
    assert not any("state = " in _plan(frame).split("PushedFilters: ")[1] for frame in frames)
    sent = {request.query["state"] for request in simulator.requests() if "state" in request.query}
    assert sent == {"all", "open"}


def test_an_upper_bound_ends_the_read_early(spark, simulator):
    options = github(simulator, per_page=20)
    whole = values(read(spark, options), "id")
    bound = sorted(row["updated_at"] for row in whole)[20]
    all_requests = len(simulator.requests())
    simulator.clear_requests()

    rows = values(read(spark, options).where(F.col("updated_at") < bound), "id")

    assert rows == [row for row in whole if row["updated_at"] < bound]
    assert len(simulator.requests()) < all_requests


def test_a_limit_ends_the_read_after_enough_rows(spark, simulator):
    options = github(simulator, per_page=10)
    everything = {row["id"] for row in values(read(spark, options))}
    simulator.clear_requests()

    frame = read(spark, options).limit(15)
    rows = values(frame, "id")

    assert "PushedLimit: 15" in _plan(frame)
    assert len(rows) == len({row["id"] for row in rows}) == 15
    assert {row["id"] for row in rows} <= everything
    assert len(simulator.requests()) <= 3


def test_a_limit_above_the_number_of_rows_gives_all_of_them(spark, simulator):
    whole = values(read(spark, github(simulator)), "id")

    assert values(read(spark, github(simulator)).limit(1_000_000), "id") == whole


def test_a_limit_after_a_filter_counts_rows_that_pass_it(spark, simulator):
    frame = read(spark, github(simulator)).where(F.col("number") % 7 == 0).limit(5)

    rows = values(frame)

    assert len(rows) == 5
    assert all(row["number"] % 7 == 0 for row in rows)
    assert "PushedLimit: none" in _plan(frame)


def test_wanted_columns_are_asked_of_a_service_that_can_select(spark, shop):
    whole = values(read(spark, shopify(shop)), "id")
    shop.clear_requests()

    one_task = shopify(shop, numPartitions=1)
    rows = values(read(spark, one_task).select("id", "title"), "id")

    assert rows == [{"id": row["id"], "title": row["title"]} for row in whole]
    assert {request.query["fields"] for request in shop.requests()} == {"id,title,updated_at"}


def test_who_wants_everything_selects_nothing(spark, shop):
    rows = values(read(spark, shopify(shop, numPartitions=1)), "id")
    rescued = read(spark, shopify(shop, numPartitions=1, rescuedDataColumn="_rescued"))
    assert len(rescued.select("id", "_rescued").collect()) == 300
    assert {request.query.get("fields") for request in shop.requests()} == {None}
    records = sorted(shop.records("shopify", "products"), key=lambda record: record["id"])

    assert [row["title"] for row in rows] == [record["title"] for record in records]
    assert len(rows) == 300


@pytest.mark.parametrize("seed", range(12))
def test_pushed_and_unpushed_reads_are_equal(spark, shop, simulator, seed):
    """Random predicates, columns and limits; Spark alone answers over a cached copy."""
    choice = random.Random(seed)
    options = choice.choice([shopify(shop), github(simulator, per_page=30)])
    copy = read(spark, options).cache()
    bounds = [row["updated_at"] for row in values(copy)]
    conditions = [
        (choice.choice([">", ">=", "<", "<=", "=", "<=>", "!="]), choice.choice(bounds))
        for _ in range(choice.randint(1, 3))
    ]
    column = "state" if "state" in copy.columns else "status"
    wanted = choice.choice([None, "open", "closed", "active", "draft"])
    columns = choice.sample(copy.columns, choice.randint(1, 4)) + ["id"]

    def query(frame):
        for operator, value in conditions:
            frame = frame.where(_compare(F.col("updated_at"), operator, F.lit(value)))
        if wanted:
            frame = frame.where(F.col(column) == wanted)
        return frame.select(*dict.fromkeys(columns))

    pushed, unpushed = values(query(read(spark, options)), "id"), values(query(copy), "id")
    copy.unpersist()

    assert pushed == unpushed, (conditions, wanted)


def _compare(column, operator: str, value):
    match operator:
        case ">":
            return column > value
        case ">=":
            return column >= value
        case "<":
            return column < value
        case "<=":
            return column <= value
        case "=":
            return column == value
        case "<=>":
            return column.eqNullSafe(value)
        case _:
            return column != value
