"""Upserts and deletes of a table in one stream, under one checkpoint."""

from datetime import datetime, timedelta, timezone

import pytest
from support import corpus
from support.rows import values
from support.simulator import example, github
from support.streams import Checkpoint, drain, drain_each, load, read

BASIC = {"Authorization": "Basic dXNlci1mb3ItdGVzdHM6cGFzc3cwcmQtZm9yLXRlc3Rz"}
_RECORDS = "/example/tables/orders/records"
_START = corpus.hours_ago(6)
_ADDED = ["_change_type", "_commit_version", "_commit_timestamp"]


def _moment(seconds: int) -> datetime:
    return _START + timedelta(seconds=seconds)


def _text(seconds: int) -> str:
    return _moment(seconds).strftime("%Y-%m-%dT%H:%M:%S+00:00")


def _order(key: str, seconds: int) -> dict:
    return {
        "order_id": key,
        "user_id": "u1",
        "amount": 1.5,
        "status": "open",
        "updated_at": _text(seconds),
    }


def _tombstone(key: str, seconds: int) -> dict:
    return {
        "order_id": key,
        "user_id": None,
        "amount": None,
        "status": None,
        "updated_at": _text(seconds),
    }


def _fill(simulator, orders: list[dict], deleted: list[dict]):
    simulator.set_records("example", "orders", orders)
    simulator.set_records("example", "deleted_orders", deleted)


def _changes(simulator, **more) -> dict:
    return example(simulator, "orders", readChangeFeed="true", **more)


def _upsert(key: str, seconds: int, version: int) -> dict:
    return {
        "order_id": key,
        "user_id": "u1",
        "amount": 1.5,
        "status": "open",
        "updated_at": _moment(seconds).isoformat(),
        "_change_type": "update_postimage",
        "_commit_version": version,
        "_commit_timestamp": _moment(seconds).isoformat(),
    }


def _delete(key: str, seconds: int, version: int) -> dict:
    nothing = dict.fromkeys(["user_id", "amount", "status"])
    return _upsert(key, seconds, version) | nothing | {"_change_type": "delete"}


def _collected(spark, options: dict, checkpoint) -> list[list[dict]]:
    """Rows of each micro-batch of a run, as they lie in its partitions."""
    batches = []

    def keep(frame, _):
        batches.append([_plain(row) for row in frame.collect()])

    drain_each(load(spark, options), checkpoint, keep)

    return batches


def _plain(row) -> dict:
    """A row with its instants in UTC."""

    def plain(value):
        if isinstance(value, datetime):
            return value.astimezone(timezone.utc).isoformat()
        return value

    return {name: plain(value) for name, value in row.asDict().items()}


def test_a_batch_has_upserts_and_deletes_by_time_and_the_next_run_what_came_since(
    spark, simulator, tmp_path
):
    _fill(
        simulator,
        [_order("a", 30), _order("b", 10), _order("c", 20)],
        [_tombstone("x", 20), _tombstone("y", 5)],
    )

    first = _collected(spark, _changes(simulator), tmp_path / "checkpoint")

    assert first == [
        [
            _delete("y", 5, 1),
            _upsert("b", 10, 1),
            _upsert("c", 20, 1),
            _delete("x", 20, 1),
            _upsert("a", 30, 1),
        ]
    ]
    _fill(
        simulator,
        [_order("a", 30), _order("c", 60)],
        [_tombstone("x", 20), _tombstone("y", 5), _tombstone("b", 50)],
    )
    second = _collected(spark, _changes(simulator), tmp_path / "checkpoint")
    assert second == [[_delete("b", 50, 2), _upsert("c", 60, 2)]]
    assert _collected(spark, _changes(simulator), tmp_path / "checkpoint") == []


def test_the_schema_is_that_of_the_table_with_three_columns_more(spark, simulator):
    plain = load(spark, example(simulator, "orders")).schema
    changes = load(spark, _changes(simulator)).schema

    assert changes.fieldNames() == plain.fieldNames() + _ADDED
    types = {field.name: (field.dataType.simpleString(), field.nullable) for field in changes}
    assert types == {
        "order_id": ("string", False),
        "user_id": ("string", True),
        "amount": ("double", True),
        "status": ("string", True),
        "updated_at": ("timestamp", True),
        "_change_type": ("string", False),
        "_commit_version": ("bigint", False),
        "_commit_timestamp": ("timestamp", True),
    }


def test_batches_applied_in_order_give_the_source(spark, simulator, tmp_path):
    """Deleted and made again between and during runs, with slices of a few rows."""
    _fill(simulator, [_order(f"o{n:02}", n) for n in range(60)], [])
    table = {}

    def apply(frame, _):
        for row in frame.select("order_id", "status", "_change_type").collect():
            if row["_change_type"] == "delete":
                table.pop(row["order_id"], None)
            else:
                table[row["order_id"]] = row["status"]

    options = _changes(simulator, max_records_per_batch=20)
    drain_each(load(spark, options), tmp_path / "checkpoint", apply)
    assert len(table) == 60
    for round in range(2):
        clock = 600 + 600 * round
        simulator.freeze(corpus.instant(_moment(clock)))
        for n in range(round, 40, 3):
            simulator.call("DELETE", f"{_RECORDS}/o{n:02}", None, BASIC)
        simulator.freeze(corpus.instant(_moment(clock + 60)))
        for n in range(round, 40, 6):
            again = _order(f"o{n:02}", clock + 60) | {"status": f"again {round}"}
            simulator.call("POST", _RECORDS, again, BASIC)
        simulator.freeze(corpus.instant(_moment(clock + 120)))
        drain_each(load(spark, options), tmp_path / "checkpoint", apply)

        source = simulator.records("example", "orders")
        assert table == {order["order_id"]: order["status"] for order in source}


def test_a_logged_batch_comes_again_as_it_was_after_both_feeds_moved_on(spark, simulator, tmp_path):
    _fill(simulator, [_order("a", 10), _order("b", 20)], [_tombstone("x", 15)])
    options, checkpoint = _changes(simulator), tmp_path / "checkpoint"
    met = []

    def fail(frame, _):
        met.extend(_plain(row) for row in frame.collect())
        raise RuntimeError("the sink is gone")

    with pytest.raises(Exception, match="the sink is gone"):
        drain_each(load(spark, options), checkpoint, fail)
    assert Checkpoint(checkpoint).logged() == [0] and Checkpoint(checkpoint).committed() == []
    _fill(simulator, [_order("b", 90)], [_tombstone("x", 15), _tombstone("a", 80)])

    batches = _collected(spark, options, checkpoint)

    assert batches == [met, [_delete("a", 80, 2), _upsert("b", 90, 2)]]
    offset = Checkpoint(checkpoint).offset(1)
    assert offset["feed"] == "changes"
    assert corpus.parse(offset["cursor"]) == _moment(90)
    assert corpus.parse(offset["deletes"]["cursor"]) == _moment(80)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"readChangeFeed": "true"}),
        ({"isDeleteFlow": "true"}, {"readChangeFeed": "true"}),
        ({"readChangeFeed": "true"}, {}),
        ({"readChangeFeed": "true"}, {"isDeleteFlow": "true"}),
    ],
)
def test_a_checkpoint_of_another_feed_is_refused(spark, simulator, tmp_path, before, after):
    _fill(simulator, [_order("a", 10)], [_tombstone("x", 15)])
    table, checkpoint = tmp_path / "table", tmp_path / "checkpoint"
    drain(load(spark, example(simulator, "orders", **before)), table, checkpoint, format="parquet")

    with pytest.raises(Exception, match="the checkpoint was written for feed '") as failure:
        frame = load(spark, example(simulator, "orders", **after))
        drain(frame, table, checkpoint, format="parquet")

    assert "use a new checkpoint" in str(failure.value)


def test_a_batch_read_refuses_it_before_it_asks_for_rows(spark, simulator):
    frame = read(spark, _changes(simulator))
    simulator.clear_requests()

    with pytest.raises(Exception, match="option 'readChangeFeed' is for streams; a batch reads"):
        frame.collect()

    assert simulator.requests() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"readChangeFeed": "true", "isDeleteFlow": "true"}, "exclude each other"),
        ({"readChangeFeed": "1"}, "option 'readChangeFeed' must be true or false, got \"1\""),
        ({"isDeleteFlow": "yes"}, "option 'isDeleteFlow' must be true or false, got \"yes\""),
    ],
)
def test_bad_values_are_refused_before_the_query_starts(spark, simulator, options, message):
    with pytest.raises(Exception, match=message):
        load(spark, example(simulator, "orders", **options))


def test_a_table_without_a_delete_feed_refuses_it_by_name(spark, simulator):
    with pytest.raises(Exception, match="has no delete feed") as failure:
        load(spark, github(simulator, readChangeFeed="TRUE"))

    assert "its ingestion type is cdc; leave option 'readChangeFeed' out" in str(failure.value)


@pytest.mark.delta
def test_it_merges_into_a_delta_table(spark, simulator, tmp_path):
    """The recipe of the documentation."""
    _fill(simulator, [_order("a", 10), _order("b", 20)], [_tombstone("x", 15)])
    target = str(tmp_path / "target")
    rows = load(spark, example(simulator, "orders")).schema
    spark.createDataFrame([], rows).write.format("delta").save(target)

    def merge(frame, _):
        frame.createOrReplaceTempView("changes")
        frame.sparkSession.sql(f"""
            MERGE INTO delta.`{target}` AS t
            USING (
              SELECT * FROM (
                SELECT *, row_number() OVER (
                  PARTITION BY order_id ORDER BY _commit_timestamp DESC, _change_type) AS newest
                FROM changes)
              WHERE newest = 1) AS c
            ON t.order_id = c.order_id
            WHEN MATCHED AND c._change_type = 'delete' THEN DELETE
            WHEN MATCHED THEN UPDATE SET *
            WHEN NOT MATCHED AND c._change_type <> 'delete' THEN INSERT *""")

    drain_each(load(spark, _changes(simulator)), tmp_path / "checkpoint", merge)
    _fill(simulator, [_order("b", 90)], [_tombstone("x", 15), _tombstone("a", 80)])
    drain_each(load(spark, _changes(simulator)), tmp_path / "checkpoint", merge)

    merged = values(spark.read.format("delta").load(target), "order_id")
    assert merged == values(read(spark, example(simulator, "orders")), "order_id")
    assert [row["order_id"] for row in merged] == ["b"]
