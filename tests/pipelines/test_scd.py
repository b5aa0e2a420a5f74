"""SCD tables by random histories, through the real engine, simulator, stream and Delta merge."""

import os
import random
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from lakeflow_connect.pipelines import delta, merges, parse
from lakeflow_connect.pipelines.delta import DeltaBackend
from lakeflow_connect.pipelines.ingest import ThroughSpark
from lakeflow_connect.pipelines.plan import Ingestion, plan
from pipelines.histories import Catalogue, Service
from pipelines.truth import history, latest, snapshots
from pyspark.sql import Window
from pyspark.sql import functions as F
from support import connections, corpus
from support.simulator import Simulator, example, github

pytestmark = pytest.mark.delta

#: Histories, each with keys of its own in the shared tables; `LAKEFLOW_HISTORIES` asks for more.
_HISTORIES = int(os.environ.get("LAKEFLOW_HISTORIES", "200"))
_ROUNDS = 5
_START = corpus.hours_ago(10)
#: Seconds between rounds, the lookback of issues, and how old one may be whose stale version is
#: certainly within it.
_STEP, _LOOKBACK, _SEEN = 120, 300, 240


_TYPES = ("SCD_TYPE_1", "SCD_TYPE_2")


class Crash(Exception):
    """A driver that dies between two statements."""


class Broken(Exception):
    """A run that fails, which says nothing of what the tables hold."""


class Pipeline:
    """Three tables of services, each ingested as both types, and what the services hold.

    Orders are deleted, some before they are seen; issues are seen late, in times of two zones; and
    products are compared as snapshots.
    """

    def __init__(self, spark, simulator, folder, names: tuple[str, ...], types, seed: int):
        self.names, self._types = names, types
        self.random = random.Random(seed)
        self.orders, self.issues = Service(self.random), Service(self.random)
        self.products = Catalogue(self.random)
        self._spark, self._simulator, self._folder = spark, simulator, folder
        self.tables = [table for name in names for table in self._plan(name)]

    def _plan(self, table: str):
        objects = [
            {
                "table": {
                    "source_table": table,
                    "destination_table": f"{table}_{scd}",
                    "table_configuration": self._configuration(table) | {"scd_type": scd},
                }
            }
            for scd in self._types
        ]
        connection = "scd_github" if table == "issues" else "scd_example"
        spec = parse({"connection_name": connection, "objects": objects})

        return plan(spec, ThroughSpark(self._spark))

    def _configuration(self, table: str) -> dict:
        if table == "orders":
            return {"include_columns": "order_id,status,updated_at"}
        if table == "products":
            return {"include_columns": "product_id,name"}
        path = {"owner": "o", "repo": "r", "lookback_seconds": _LOOKBACK, "per_page": 50}

        return path | {"include_columns": "id,title,updated_at"}

    def round(self, number: int):
        """Lets the services change, and runs the pipeline until it ends without a crash."""
        now = (number + 1) * _STEP
        keys = [f"{h:05}" for h in range(_HISTORIES)]
        self.orders.change(keys, now, _STEP // 2, deletes=True)
        # Some change again within the second in which they were last seen to change.
        self.issues.change(keys, now, _STEP * 5 // 4, deletes=False)
        self.products.change(keys)
        products = [{"product_id": k, "name": v} for k, v in self.products.records.items()]
        self._simulator.set_records("example", "products", products)
        stale = {
            key: (max(at - 30, 1), f"stale {value}")
            for key, (at, value) in self.issues.records.items()
            if at > now - _SEEN and self.random.random() < 0.1
        }
        self._fill(self.orders.show(), self.orders.deleted, self.issues.show(stale))
        self._run()
        late = self.orders.late(now)
        if stale or late:
            self._fill(self.orders.show(late), self.orders.deleted, self.issues.show())
            self._run()
        if self.random.random() < 0.5:
            self._forget_deletes()

    def _forget_deletes(self):
        """Empties what may be emptied: orders have no lookback."""
        for table in self.tables:
            if table.ingestion is Ingestion.CDC_WITH_DELETES:
                self._spark.sql(f"DELETE FROM {table.destination[-1]}__deletes")

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
                corpus.issue(int(key) + 1, _moment(at), title=value, updated_at=_zoned(at, value))
                for key, (at, value) in issues.items()
            ],
        )

    def _run(self):
        backend = DeltaBackend(self._spark, str(self._folder / "checkpoints"))
        for _ in range(20):
            # A micro-batch may hold a part of what has changed, or all of it.
            cap = {"max_records_per_batch": str(self.random.randint(_HISTORIES // 3, _HISTORIES))}
            tables = [
                table if table.source == "products" else replace(table, options=table.options | cap)
                for table in self.tables
            ]
            failed = [result for result in backend.run(tables) if result.error is not None]
            if not failed:
                return
            if not all("Crash" in str(result.error) for result in failed):
                raise Broken(failed)
        raise Broken("no run without a crash")

    def truth(self, table: str) -> dict:
        """What the tables of the latest versions and of all versions must hold, by type."""
        if table == "products":
            whole = {1: self.products.records, 2: snapshots(self.products.seen)}
        else:
            seen = getattr(self, table).seen
            whole = {1: latest(seen), 2: history(seen)}

        return {kind: whole[int(kind[-1])] for kind in self._types}

    def held(self, table: str) -> dict:
        """What they do hold; products know no times, and theirs are numbered."""
        ways = {"SCD_TYPE_1": self._latest, "SCD_TYPE_2": self._versions}

        return {
            kind: ways[kind](table, self._spark.table(f"{table}_{kind}").collect())
            for kind in self._types
        }

    @staticmethod
    def _latest(table: str, rows: list) -> dict:
        if table == "products":
            return {row.product_id: row.name for row in rows}
        key, value = _COLUMNS[table]

        return {_key(row[key]): (_seconds(row.updated_at), row[value]) for row in rows}

    @staticmethod
    def _versions(table: str, rows: list) -> set:
        if table == "products":
            return _numbered(rows)
        key, value = _COLUMNS[table]

        return {
            (_key(row[key]), _seconds(row["__START_AT"]), _seconds(row["__END_AT"]), row[value])
            for row in rows
        }


#: Key and value of a table.
_COLUMNS = {"orders": ("order_id", "status"), "issues": ("id", "title")}


def _numbered(versions) -> set:
    ends = {row[name] for row in versions for name in ("__START_AT", "__END_AT")} - {None}
    numbers = {end: number for number, end in enumerate(sorted(ends))} | {None: None}

    return {
        (row.product_id, numbers[row["__START_AT"]], numbers[row["__END_AT"]], row.name)
        for row in versions
    }


def _moment(seconds: int) -> datetime:
    return _START + timedelta(seconds=seconds)


def _offset(seconds: int) -> str:
    return _moment(seconds).strftime("%Y-%m-%dT%H:%M:%S+00:00")


def _zoned(seconds: int, value: str) -> str:
    """The same in one of two zones, by the last digit of a value: text has another order."""
    zone = timezone(timedelta(hours=2 * (int(value[-1]) % 2)))

    return _moment(seconds).astimezone(zone).isoformat()


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
def pipeline(request, spark, tmp_path):
    """A pipeline with a database of its own; of one table and type, if the test is about one."""
    everything = ("orders", "issues", "products"), _TYPES
    names, types = getattr(request, "param", everything)
    name = f"scd_{tmp_path.name}".replace("-", "_")
    with Simulator("serve", "--source", "github", "--source", "example") as simulator:
        connections.write(
            scd_example=_connection(example(simulator, "orders")),
            scd_github=_connection(github(simulator)),
        )
        spark.sql(f"CREATE DATABASE {name}")
        spark.sql(f"USE {name}")
        yield Pipeline(spark, simulator, tmp_path, names, types, seed=7)
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
    _follow(pipeline, _ROUNDS)
    assert {"before", "after"} <= set(crashes)


def _follow(pipeline: Pipeline, rounds: int):
    """Compares the tables with the truth after each round."""
    for number in range(rounds):
        pipeline.round(number)
        for table in pipeline.names:
            assert pipeline.held(table) == pipeline.truth(table), (table, number)


def _upserts_win_ties(patch):
    def reversed_latest(found, change):
        order = [F.col(merges.SEQUENCE).desc(), F.col(merges.DELETED).asc()]
        window = Window.partitionBy(*change.key_names).orderBy(*order)
        return found.withColumn("n", F.row_number().over(window)).where("n = 1").drop("n")

    patch.setattr(merges, "latest", reversed_latest)
    # Which hides that order.
    patch.setattr(merges, "without_deleted", lambda found, *_: found)


def _the_first_of_a_tie_stays(patch):
    whole = delta._Writer._merge

    def strict(self, rows, on, actions, **more):
        whole(self, rows, on, actions.replace(" >= ", " > "), **more)

    patch.setattr(delta._Writer, "_merge", strict)


def _late_rows_are_ignored(patch):
    whole = merges.history

    def history_of_new(found, existing, deletes, columns, change):
        known = change.marked(existing).groupBy(*change.key_names)
        known = known.agg(F.max(merges.SEQUENCE).alias("newest"))
        same = F.expr(f"{change.same('e', 'k')} AND k.newest > e.{merges.SEQUENCE}")
        new = found.alias("e").join(known.alias("k"), same, "left_anti")
        return whole(new, existing, deletes, columns, change)

    patch.setattr(merges, "history", history_of_new)


def _deletes_are_dropped(patch):
    whole = merges.events
    patch.setattr(merges, "events", lambda *of: whole(*of).where(f"NOT {merges.DELETED}"))


def _deletes_are_forgotten(patch):
    patch.setattr(delta._Writer, "_note_deletes", lambda *_: None)


def _late_rows_rise_again(patch):
    patch.setattr(merges, "without_deleted", lambda found, *_: found)


def _what_a_snapshot_lacks_stays(patch):
    whole = delta._Writer._merge

    def kept(self, rows, on, actions, **more):
        whole(self, rows, on, actions.replace("WHEN NOT MATCHED BY SOURCE THEN DELETE", ""), **more)

    patch.setattr(delta._Writer, "_merge", kept)


def _instants_are_compared_as_text(patch):
    patch.setattr(merges, "instant", lambda column: column)


def _the_first_of_a_tie_stays_in_history(patch):
    whole = merges.history

    def reversed_history(found, *of):
        # What the table has is of order -1.
        return whole(found.withColumn(merges.ORDER, -2 - F.col(merges.ORDER)), *of)

    patch.setattr(merges, "history", reversed_history)


def _versions_of_no_time_stay(patch):
    whole = merges.history
    patch.setattr(
        merges, "history", lambda *of: whole(*of).withColumn(merges.DELETED, F.lit(False))
    )


def _ends_are_forgotten(patch):
    whole = merges.history

    def without_ends(found, existing, *of):
        kind = existing.schema[merges.END].dataType
        return whole(found, existing.withColumn(merges.END, F.lit(None).cast(kind)), *of)

    patch.setattr(merges, "history", without_ends)


def _snapshots_end_no_version(patch):
    whole = merges.snapshot_history
    patch.setattr(merges, "snapshot_history", lambda *of: whole(*of).where(f"NOT {merges.DELETED}"))


def _unchanged_rows_become_versions(patch):
    patch.setattr(merges, "unchanged", lambda *_: "false")


#: Table, SCD type, and what is wrong.
_MUTANTS = [
    ("orders", 1, _upserts_win_ties),
    ("issues", 1, _the_first_of_a_tie_stays),
    ("issues", 2, _late_rows_are_ignored),
    ("orders", 1, _deletes_are_dropped),
    ("orders", 2, _deletes_are_forgotten),
    ("orders", 1, _late_rows_rise_again),
    ("orders", 2, _versions_of_no_time_stay),
    ("orders", 2, _ends_are_forgotten),
    ("issues", 1, _instants_are_compared_as_text),
    ("issues", 2, _the_first_of_a_tie_stays_in_history),
    ("products", 1, _what_a_snapshot_lacks_stays),
    ("products", 2, _snapshots_end_no_version),
    ("products", 2, _unchanged_rows_become_versions),
]


@pytest.mark.parametrize(
    ("pipeline", "mutant"),
    [(((table,), (_TYPES[scd - 1],)), mutant) for table, scd, mutant in _MUTANTS],
    indirect=["pipeline"],
    ids=[mutant.__name__.strip("_") for *_, mutant in _MUTANTS],
)
def test_a_merge_that_is_wrong_is_found(pipeline, monkeypatch, mutant):
    mutant(monkeypatch)
    with pytest.raises(AssertionError, match=rf"^\('{pipeline.names[0]}', \d\)"):
        _follow(pipeline, _ROUNDS)
