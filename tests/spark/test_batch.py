"""Batch reads: every row, every column, and what an action costs."""

import pytest
from support import expected
from support.rows import values
from support.simulator import example, github
from support.streams import read

#: Tables of the example source, their key and the order of rows.
_EXAMPLE_KEYS = {
    "products": "product_id",
    "events": "event_id",
    "users": "user_id",
    "orders": "order_id",
}


def test_github_issues_come_whole(spark, simulator):
    frame = read(spark, github(simulator, per_page=20))

    rows = values(frame, "id")

    records = sorted(simulator.records("github", "issues"), key=lambda r: r["id"])
    mine = [r for r in records if r["repository_url"].endswith("/repos/o/r")]
    added = {"repository_owner": "o", "repository_name": "r"}
    assert len(mine) > 40, "too few issues for three pages"
    assert rows == [expected.project(record, frame.schema, **added) for record in mine]


@pytest.mark.parametrize("table", _EXAMPLE_KEYS)
def test_example_tables_come_whole(spark, simulator, table):
    frame = read(spark, example(simulator, table))

    rows = values(frame, _EXAMPLE_KEYS[table])

    records = simulator.records("example", table)
    records = sorted(records, key=lambda record: record[_EXAMPLE_KEYS[table]])
    assert len(records) > 30
    assert rows == [expected.project(record, frame.schema) for record in records]


def test_metrics_of_the_future_are_left_for_later(spark, simulator):
    from datetime import datetime, timedelta, timezone

    from support import corpus

    frame = read(spark, example(simulator, "metrics"))

    rows = values(frame, "metric_id")

    margin = datetime.now(timezone.utc)
    records = simulator.records("example", "metrics")
    records = sorted(records, key=lambda record: record["metric_id"])
    past = [r for r in records if corpus.parse(r["updated_at"]) <= margin - timedelta(minutes=2)]
    future = {r["metric_id"] for r in records if corpus.parse(r["updated_at"]) > margin}
    assert past and future
    assert rows[: len(past)] == [expected.project(record, frame.schema) for record in past]
    assert not future & {row["metric_id"] for row in rows}


def test_chosen_columns_are_the_same_values(spark, simulator):
    frame = read(spark, github(simulator))
    whole = {row["id"]: row for row in values(frame)}

    some = values(frame.select("id", "user.login", "updated_at"))

    wanted = [
        {"id": r["id"], "login": r["user"]["login"], "updated_at": r["updated_at"]}
        for r in whole.values()
    ]
    assert sorted(some, key=lambda r: r["id"]) == sorted(wanted, key=lambda r: r["id"])


def test_count_reads_no_column_and_counts_every_row(spark, simulator):
    frame = read(spark, github(simulator))

    assert frame.count() == len(values(frame))


def test_each_action_reads_again(spark, simulator):
    frame = read(spark, github(simulator))
    counts = []
    for _ in range(2):
        simulator.clear_requests()
        frame.count()
        counts.append(len(simulator.requests()))

    assert counts[0] == counts[1] > 0


def test_an_empty_repository_is_an_empty_table(spark, simulator):
    assert values(read(spark, github(simulator, "acme/empty"))) == []
