"""SCD tables by random histories, through the real engine, simulator, stream and Delta merge."""

import os
import random
from datetime import datetime, timedelta, timezone

import pytest
from lakeflow_connect.pipelines import delta, parse
from lakeflow_connect.pipelines.delta import DeltaBackend
from lakeflow_connect.pipelines.plan import plan
from pipelines.histories import Service
from pipelines.truth import history, latest
from support import connections, corpus
from support.simulator import Simulator, example, github

#: Histories, each with keys of its own in the shared tables; `LAKEFLOW_HISTORIES` asks for more.
_HISTORIES = int(os.environ.get("LAKEFLOW_HISTORIES", "200"))
_ROUNDS = 5
_START = corpus.hours_ago(10)
#: Seconds between rounds, less than the lookback of GitHub's issues.
_STEP = 120


class Crash(Exception):
    """A driver that dies between two statements."""


class Pipeline:
    """Two tables of each of two sources, and what their services hold."""

    def __init__(self, spark, simulator, folder, seed: int):
        self.random = random.Random(seed)
        self.orders, self.issues = Service(self.random), Service(self.random)
        self._spark, self._simulator, self._folder = spark, simulator, folder
        self.tables = self._plan("orders") + self._plan("issues")

    def _plan(self, table: str):
        objects = [
            {
                "table": {
                    "source_table": table,
                    "destination_table": f"{table}_{scd}",
                    "table_configuration": self._configuration(table) | {"scd_type": scd},
                }
            }
            for scd in ("SCD_TYPE_1", "SCD_TYPE_2")
        ]
        spec = parse({"connection_name": f"scd_{table}", "objects": objects})

        def read(options):
            frame = self._spark.read.format("lakeflow_connect").options(**options).load()
            return [row.asDict() for row in frame.collect()]

        return plan(spec, read)

    def _configuration(self, table: str) -> dict:
        if table == "orders":
            return {"include_columns": "order_id,status,updated_at"}
        path = {"owner": "o", "repo": "r", "lookback_seconds": 300, "per_page": 50}

        return path | {"include_columns": "id,title,updated_at"}

    def round(self, number: int):
        """Lets the services change, and runs the pipeline until it ends without a crash."""
        now = (number + 1) * _STEP
        keys = [f"{h:05}" for h in range(_HISTORIES)]
        self.orders.change(keys, now, _STEP // 2, deletes=True)
        self.issues.change(keys, now, _STEP // 2, deletes=False)
        stale = {
            key: (max(at - 30, 1), f"stale {value}")
            for key, (at, value) in self.issues.records.items()
            if number and self.random.random() < 0.1
        }
        self._fill(self.orders.show(), self.orders.deleted, self.issues.show(stale))
        self._run()
        if stale:
            self._fill(self.orders.records, self.orders.deleted, self.issues.show())
            self._run()

    def _fill(self, orders, deleted, issues):
        order = {"user_id": "u", "amount": 1.0}
        self._simulator.set_records(
            "example",
            "orders",
            [
                order | {"order_id": key, "status": value, "updated_at": _offset(at)}
                for key, (at, value) in orders.items()
            ],
        )
        self._simulator.set_records(
            "example",
            "deleted_orders",
            [
                dict.fromkeys(order) | {"order_id": key, "status": None, "updated_at": _offset(at)}
                for key, at in deleted
            ],
        )
        self._simulator.set_records(
            "github",
            "issues",
            [
                corpus.issue(int(key) + 1, _moment(at), title=value)
                for key, (at, value) in issues.items()
            ],
        )

    def _run(self):
        backend = DeltaBackend(self._spark, str(self._folder / "checkpoints"))
        for _ in range(20):
            failed = [result for result in backend.run(self.tables) if result.error is not None]
            if not failed:
                return
            assert all("Crash" in str(result.error) for result in failed), failed
        raise AssertionError("no run without a crash")

    def held(self, table: str) -> tuple[dict, set]:
        """What the table of the latest versions and the table of all versions hold."""
        key, value = ("order_id", "status") if table == "orders" else ("id", "title")
        latest_rows = self._spark.table(f"{table}_SCD_TYPE_1").collect()
        versions = self._spark.table(f"{table}_SCD_TYPE_2").collect()

        return (
            {_key(row[key]): (_seconds(row.updated_at), row[value]) for row in latest_rows},
            {
                (_key(row[key]), _seconds(row["__START_AT"]), _seconds(row["__END_AT"]), row[value])
                for row in versions
            },
        )


def _moment(seconds: int) -> datetime:
    return _START + timedelta(seconds=seconds)


def _offset(seconds: int) -> str:
    return _moment(seconds).strftime("%Y-%m-%dT%H:%M:%S+00:00")


def _key(value: object) -> str:
    return f"{value - 9_000_000_001:05}" if isinstance(value, int) else value


def _seconds(value: object) -> int | None:
    """Seconds since the start of a text or of a timestamp, which Python has in local time."""
    if value is None:
        return None
    moment = corpus.parse(value) if isinstance(value, str) else value.astimezone(timezone.utc)

    return round((moment - _START).total_seconds())


def _connection(options: dict) -> dict:
    """Those options of a read that belong to its connection."""
    names = ("sourceName", "base_url", "token", "username", "password")

    return {name: options[name] for name in names if name in options}


@pytest.fixture
def pipeline(spark, tmp_path):
    """A pipeline with a database of its own."""
    name = f"scd_{tmp_path.name}".replace("-", "_")
    with Simulator("serve", "--source", "github", "--source", "example") as simulator:
        connections.write(
            scd_orders=_connection(example(simulator, "orders")),
            scd_issues=_connection(github(simulator)),
        )
        spark.sql(f"CREATE DATABASE {name}")
        spark.sql(f"USE {name}")
        yield Pipeline(spark, simulator, tmp_path, seed=7)
        spark.sql("USE default")
        spark.sql(f"DROP DATABASE {name} CASCADE")


def test_random_histories_end_as_they_must_whatever_crashes(pipeline, monkeypatch):
    merge = delta._Writer._merge
    crashes = []

    def fragile(self, *arguments, **more):
        if pipeline.random.random() < 0.1:
            crashes.append("before")
            raise Crash("Crash before a merge")
        merge(self, *arguments, **more)
        if pipeline.random.random() < 0.1:
            crashes.append("after")
            raise Crash("Crash after a merge")

    monkeypatch.setattr(delta._Writer, "_merge", fragile)
    for number in range(_ROUNDS):
        pipeline.round(number)
        for table, service in (("orders", pipeline.orders), ("issues", pipeline.issues)):
            current, versions = pipeline.held(table)
            assert current == latest(service.seen), (table, number)
            assert versions == history(service.seen), (table, number)
    assert {"before", "after"} <= set(crashes)
