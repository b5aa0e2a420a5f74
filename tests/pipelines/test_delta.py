"""Tables of the example service in Delta Lake: what a run creates, keeps, and leaves alone."""

import shutil
import tempfile
from datetime import datetime
from pathlib import Path

import pytest
from lakeflow_connect import IngestError, LakeflowError, SpecError, ingest
from lakeflow_connect.pipelines import counts, delta
from lakeflow_connect.pipelines.delta import _added
from pyspark.sql.streaming import StreamingQuery
from pyspark.sql.types import ArrayType, IntegerType, MapType, StringType, StructType
from support import connections, corpus
from support.simulator import Simulator, example

pytestmark = pytest.mark.delta


class Shop:
    """The service, and a database that its tables are ingested into."""

    def __init__(self, spark, simulator, folder):
        self.spark, self.simulator, self._folder = spark, simulator, folder

    def fill(self, table: str, *records: dict):
        """Replaces the records of a table."""
        self.simulator.set_records("example", table, list(records))

    def ingest(self, table: str, destination: str | None = None, **configuration):
        """Brings one table up to date."""
        return self.ingest_all({table: configuration}, destination=destination)

    def ingest_all(self, tables: dict[str, dict], destination: str | None = None, **more):
        """Brings tables up to date: name to configuration."""
        named = {} if destination is None else {"destination_table": destination}
        objects = [
            {"table": {"source_table": name, "table_configuration": configuration} | named}
            for name, configuration in tables.items()
        ]
        spec = {"connection_name": "shop", "objects": objects}
        return ingest(self.spark, spec, checkpoints=str(self._folder / "checkpoints"), **more)

    def rows(self, table: str, *columns: str) -> list[tuple]:
        """Rows of the ingested table, sorted."""
        found = self.spark.table(table).select(*columns or ["*"]).collect()
        return sorted((tuple(row) for row in found), key=str)


@pytest.fixture
def shop(spark, tmp_path):
    """A service and an empty database of its own."""
    database = f"shop_{tmp_path.name}"[:100].replace("-", "_")
    with Simulator("serve", "--source", "example") as simulator:
        options = example(simulator, "orders")
        del options["tableName"]
        connections.write(shop=options)
        spark.sql(f"CREATE DATABASE {database}")
        spark.sql(f"USE {database}")
        yield Shop(spark, simulator, tmp_path)
        spark.sql("USE default")
        spark.sql(f"DROP DATABASE {database} CASCADE")


def _product(number: int, name: str = "cog", **more) -> dict:
    return {"product_id": f"p{number}", "name": name, "price": 1.5, "category": "parts"} | more


def _order(key: str, status: str, day: int) -> dict:
    updated = f"2026-01-0{day}T00:00:00+00:00"
    return {
        "order_id": key,
        "user_id": "u",
        "amount": 1.0,
        "status": status,
        "updated_at": updated,
    }


def _user(key: str, email: str) -> dict:
    user = {"user_id": key, "email": email, "display_name": "d", "status": "s"}

    return user | {"updated_at": "2026-01-01T00:00:00+00:00"}


_EVENTS = corpus.events_in_threes(4)


def test_rows_that_never_change_come_once(shop):
    shop.fill("events", *_EVENTS[:3])
    first = shop.ingest("events", exclude_columns=["payload"])
    shop.fill("events", *_EVENTS)
    second = shop.ingest("events", exclude_columns=["payload"])
    third = shop.ingest("events", exclude_columns=["payload"])

    assert [result.rows for (result,) in (first, second, third)] == [3, 1, 0]
    assert first[0].table == "`events`"
    assert shop.spark.table("events").columns == ["event_id", "event_type", "user_id", "created_at"]
    assert shop.rows("events", "event_id") == [(e["event_id"],) for e in _EVENTS]


def test_every_change_may_be_a_row(shop):
    shop.fill("orders", _order("a", "open", 1))
    shop.ingest("orders", scd_type="APPEND_ONLY")
    shop.fill("orders", _order("a", "paid", 2))
    shop.ingest("orders", scd_type="APPEND_ONLY")

    assert shop.rows("orders", "order_id", "status") == [("a", "open"), ("a", "paid")]


def test_a_snapshot_replaces_what_was_there(shop):
    shop.fill("products", _product(1), _product(2), _product(3))
    shop.ingest("products")
    shop.fill("products", _product(1), _product(2, "wheel"), _product(4))
    shop.ingest("products")

    assert shop.rows("products", "product_id", "name") == [
        ("p1", "cog"),
        ("p2", "wheel"),
        ("p4", "cog"),
    ]


@pytest.mark.parametrize("scd_type", ["SCD_TYPE_1", "SCD_TYPE_2"])
def test_a_snapshot_that_does_not_end_changes_nothing(shop, scd_type):
    shop.fill("products", *(_product(n) for n in range(70)))
    shop.ingest("products", scd_type=scd_type)
    before = shop.rows("products")
    shop.fill("products", *(_product(n, "wheel") for n in range(60)))
    # Its first page of 50 comes.
    shop.simulator.fault(
        path="/example/tables/products/records", nth=2, kind={"status": {"code": 400}}
    )

    with pytest.raises(IngestError, match="1 of 1 tables were not written:\n- `products`: "):
        shop.ingest("products", scd_type=scd_type)
    assert shop.rows("products") == before

    shop.simulator.clear_faults()
    shop.ingest("products", scd_type=scd_type)
    assert shop.rows("products") != before


def test_a_table_that_fails_keeps_no_other_from_being_written(shop):
    shop.fill("products", _product(1))
    shop.fill("orders", _order("a", "open", 1))
    shop.simulator.fault(
        path="/example/tables/products/records", every=1, kind={"status": {"code": 400}}
    )

    with pytest.raises(IngestError) as failure:
        shop.ingest_all({"products": {}, "orders": {}})

    products, orders = failure.value.results
    assert products.error is not None and orders.error is None
    assert shop.rows("orders", "order_id") == [("a",)]
    (_, line) = str(failure.value).splitlines()
    assert line.startswith("- `products`: [BAD_RESPONSE] the service answered 400 Bad Request")


def test_a_specification_with_problems_creates_nothing(shop):
    tables = {"orders": {"exclude_columns": "nope"}, "gone": {}, "products": {}}

    with pytest.raises(SpecError) as failure:
        shop.ingest_all(tables)
    orders, gone = map(str, failure.value.problems)
    assert orders.startswith("objects[0].table: table 'orders' has no column nope; there are: ")
    assert gone.startswith("objects[1].table: table 'gone': unknown table 'gone'; ")
    assert shop.spark.sql("SHOW TABLES").collect() == []

    shop.fill("products", _product(1))
    with pytest.warns(UserWarning, match="left out: "):
        (written,) = shop.ingest_all(tables, skip_failing=True)
    assert (written.table, written.rows) == ("`products`", 1)


def test_outside_of_a_pipeline_a_folder_is_needed(spark):
    spec = {"connection_name": "shop", "objects": [{"table": {"source_table": "orders"}}]}

    with pytest.raises(ValueError, match="argument 'checkpoints' is needed outside of a pipeline"):
        ingest(spark, spec)


def test_an_unknown_connection_is_told_as_everywhere(shop):
    spec = {"connection_name": "nope", "objects": [{"table": {"source_table": "orders"}}]}

    with pytest.raises(LakeflowError) as failure:
        ingest(shop.spark, spec, checkpoints="/nowhere")
    assert failure.value.code == "CONFIG_INVALID"
    assert str(failure.value).startswith("[CONFIG_INVALID] option 'connection': there is no conn")
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("scd_type", ["SCD_TYPE_1", "SCD_TYPE_2"])
def test_columns_that_are_new_are_added(shop, scd_type):
    few = ["order_id", "status", "updated_at"]
    shop.fill("orders", _order("a", "open", 1))
    shop.ingest("orders", scd_type=scd_type, include_columns=few)
    shop.fill("orders", _order("a", "open", 1), _order("b", "open", 2))
    shop.ingest("orders", scd_type=scd_type, include_columns=[*few, "amount"])

    assert shop.rows("orders", "order_id", "amount") == [("a", None), ("b", 1.0)]


def test_a_column_of_another_type_stops_its_table(shop):
    shop.spark.sql("CREATE TABLE orders (order_id STRING, amount STRING) USING delta")
    shop.fill("products", _product(1))

    with pytest.raises(IngestError, match="column `amount` is string in the table and double in"):
        shop.ingest_all({"orders": {}, "products": {}})
    assert shop.rows("products", "product_id") == [("p1",)]


def test_a_table_of_the_other_kind_is_left_alone(shop):
    shop.fill("orders", _order("a", "open", 1))
    shop.ingest("orders")

    for kind, told in (("SCD_TYPE_2", "2"), ("APPEND_ONLY", "none")):
        with pytest.raises(IngestError, match=f"was written with scd_type 1, now it is {told}"):
            shop.ingest("orders", scd_type=kind)
    assert shop.rows("orders", "order_id", "status") == [("a", "open")]
    assert "__START_AT" not in shop.spark.table("orders").columns


def test_a_table_with_rows_of_others_is_left_alone(shop):
    shop.spark.sql("CREATE TABLE orders USING delta AS SELECT 'x' AS order_id")
    shop.spark.sql("CREATE TABLE users (user_id STRING, mine INT) USING delta")
    shop.fill("orders", _order("a", "open", 1))
    shop.fill("users", _user("u", "e"))

    with pytest.raises(IngestError, match="`orders` has rows that were not written from here"):
        shop.ingest_all({"orders": {}, "users": {}})
    assert shop.rows("orders") == [("x",)]
    assert shop.rows("users", "user_id", "mine") == [("u", None)]


@pytest.mark.parametrize("table", ["events", "orders"])
def test_a_table_that_was_dropped_is_read_from_the_beginning(shop, table):
    shop.fill("events", *_EVENTS)
    shop.fill("orders", _order("a", "open", 1), _order("b", "open", 2))
    shop.ingest(table)
    rows = shop.rows(table)
    shop.spark.sql(f"DROP TABLE {table}")
    shop.ingest(table)

    assert rows and shop.rows(table) == rows


def test_rows_are_not_appended_again_when_the_checkpoint_is_gone(shop, tmp_path):
    shop.fill("events", *_EVENTS)
    shop.ingest("events")
    rows = shop.rows("events")
    shutil.rmtree(tmp_path / "checkpoints")

    with pytest.raises(IngestError, match="the checkpoint of table `events` is gone: restore /"):
        shop.ingest("events")
    assert shop.rows("events") == rows


def test_names_that_mean_one_table_are_refused(shop):
    here = shop.spark.catalog.currentDatabase()
    tables = [
        {"source_table": "users"},
        {"source_table": "products", "destination_schema": here, "destination_table": "Users"},
        {"source_table": "orders"},
        {"source_table": "events", "destination_table": "orders__deletes"},
    ]
    spec = {"connection_name": "shop", "objects": [{"table": table} for table in tables]}

    with pytest.raises(SpecError) as failure:
        ingest(shop.spark, spec, checkpoints="/nowhere")
    place = f"write to one table, spark_catalog.{here}".lower()
    assert [str(problem) for problem in failure.value.problems] == [
        f"tables users and products {place}.users",
        f"tables orders and events {place}.orders__deletes",
    ]
    assert shop.spark.sql("SHOW TABLES").collect() == []


def test_problems_of_form_and_of_tables_are_named_at_once(shop):
    with pytest.raises(SpecError) as failure:
        shop.ingest_all({"orders": {"scd_type": "x"}, "users": {"exclude_columns": "nope"}})

    form, column = map(str, failure.value.problems)
    assert form.startswith("objects[0].table.table_configuration.scd_type: must be one of")
    assert column.startswith("objects[1].table: table 'users' has no column nope")


def test_a_folder_may_be_named_from_here(shop, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shop, "_folder", Path("here"))
    shop.fill("events", *_EVENTS)
    shop.ingest("events")

    (folder,) = (tmp_path / "here" / "checkpoints").iterdir()
    assert {path.name for path in folder.iterdir()} == {"checkpoint", "slices"}


def test_versions_are_ordered_by_time_and_not_by_its_text(shop):
    def changed(status: str, at: str) -> dict:
        return _order("a", status, 1) | {"updated_at": f"2026-10-25T{at}"}

    tables = {
        "latest": {"scd_type": "SCD_TYPE_1"},
        "all": {"scd_type": "SCD_TYPE_2"},
    }
    for record in (changed("open", "02:50:00+02:00"), changed("paid", "02:10:00+01:00")):
        shop.fill("orders", record)
        for name, configuration in tables.items():
            shop.ingest("orders", destination=name, **configuration)

    assert shop.rows("latest", "status") == [("paid",)]
    ends = shop.spark.table("all").selectExpr(
        "status", "date_format(to_utc_timestamp(__END_AT, current_timezone()), 'HH:mm')"
    )
    assert sorted(map(tuple, ends.collect())) == [("open", "01:10"), ("paid", None)]


def test_two_runs_at_once_do_not_share_a_snapshot(shop, tmp_path, monkeypatch):
    shop.fill("products", *(_product(n) for n in range(5)))
    write, began = delta._Writer._merge_snapshot, []

    def overtaken(self, found):
        if not began:
            began.append(self)
            shop.ingest("products")
        write(self, found)

    monkeypatch.setattr(delta._Writer, "_merge_snapshot", overtaken)
    shop.ingest("products")

    assert began and len(shop.rows("products")) == 5
    assert list(tmp_path.glob("checkpoints/*/snapshot*")) == []


def test_times_of_snapshots_never_go_back(shop, monkeypatch):
    class Back(datetime):
        @classmethod
        def now(cls, zone):
            return datetime(2001, 1, 1, tzinfo=zone)

    shop.fill("products", _product(1))
    shop.ingest("products", scd_type="SCD_TYPE_2")
    monkeypatch.setattr(delta, "datetime", Back)
    for name in ("wheel", "axle"):
        shop.fill("products", _product(1, name))
        shop.ingest("products", scd_type="SCD_TYPE_2")

    versions = shop.spark.table("products").orderBy("__START_AT").collect()
    assert [row.name for row in versions] == ["cog", "wheel", "axle"]
    ends = [row["__END_AT"] for row in versions]
    assert ends == [row["__START_AT"] for row in versions[1:]] + [None]
    assert all(row["__START_AT"] < end for row, end in zip(versions, ends[:-1]))


def test_a_table_may_be_clustered(shop):
    shop.fill("orders", _order("a", "open", 1))
    shop.ingest("orders", cluster_by=["status"])
    (detail,) = shop.spark.sql("DESCRIBE DETAIL orders").collect()

    assert list(detail["clusteringColumns"]) == ["status"]


@pytest.mark.parametrize(("what", "key"), [("keys", "primary_keys"), ("sequence", "sequence_by")])
def test_rows_are_told_apart_and_ordered_as_before_or_not_at_all(shop, what, key):
    shop.fill("users", _user("u", "e"))
    shop.ingest("users", scd_type="SCD_TYPE_2")

    with pytest.raises(IngestError, match=f"`users` was written with {what} .*, now it is"):
        shop.ingest("users", scd_type="SCD_TYPE_2", **{key: "email"})
    assert len(shop.rows("users")) == 1


def test_slices_lie_beside_the_checkpoint(shop, tmp_path):
    shop.fill("events", *_EVENTS)
    shop.ingest("events")
    (folder,) = (tmp_path / "checkpoints").iterdir()

    assert {path.name for path in folder.iterdir()} == {"checkpoint", "slices"}


def test_an_interrupt_ends_the_stream(shop, monkeypatch):
    shop.fill("orders", _order("a", "open", 1))
    seen = []

    def interrupted(query, _):
        seen.append(query)
        raise KeyboardInterrupt

    monkeypatch.setattr(StreamingQuery, "awaitTermination", interrupted)
    with pytest.raises(KeyboardInterrupt):
        shop.ingest("orders")
    assert [query.isActive for query in seen] == [False]


def test_who_watches_sees_what_a_batch_does_while_it_is_read(shop, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shop.fill("orders", _order("a", "open", 1))
    wait = {"status": {"code": 429, "headers": {"retry-after": "2"}}}
    shop.simulator.fault(path="/example/tables/orders/records", nth=1, kind=wait)
    shown = []
    monkeypatch.setattr(counts.Progress, "show", lambda _, **now: shown.append(now))
    shop.ingest("orders")

    waiting = [now for now in shown if now["waiting"]]
    assert waiting and {now["rows"] for now in waiting} == {0}
    last = shown[-1]
    assert (last["rows"], last["waiting"]) == (1, False)
    assert 0 < waiting[0]["requests"] < last["requests"] <= len(shop.simulator.requests())
    assert list(tmp_path.glob("lakeflow-progress-*")) == []


def test_fields_that_a_struct_lacks_are_found_at_any_depth():
    old = StructType().add("s", StructType().add("a", IntegerType()))
    old = old.add("l", ArrayType(StructType().add("a", IntegerType())))
    old = old.add("m", MapType(StringType(), StructType().add("a", IntegerType())))
    more = StructType().add("a", IntegerType()).add("b c", StringType())
    wanted = [
        ("s", more),
        ("l", ArrayType(more)),
        ("m", MapType(StringType(), more)),
        ("n", StringType()),
    ]

    assert [(place, kind.simpleString()) for place, kind in _added(old, wanted)] == [
        ("`s`.`b c`", "string"),
        ("`l`.element.`b c`", "string"),
        ("`m`.value.`b c`", "string"),
        ("`n`", "string"),
    ]
