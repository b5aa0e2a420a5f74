"""A change feed whose driver dies with a logged batch is whole after the next run."""

import json
from datetime import timedelta
from pathlib import Path

from support import corpus, environment, processes, streams
from support.rows import values
from support.simulator import Simulator, example
from support.streams import Checkpoint

_START = corpus.hours_ago(6)


def _record(key: str, second: int, deleted: bool) -> dict:
    moment = _START + timedelta(seconds=second)
    row = {"user_id": "u", "amount": 1.5, "status": "open"}
    row = dict.fromkeys(row) if deleted else row

    return row | {"order_id": key, "updated_at": moment.strftime("%Y-%m-%dT%H:%M:%S+00:00")}


def _changes(spark, table: Path) -> list[dict]:
    rows = values(streams.table(spark, table))

    return sorted(rows, key=lambda row: row["order_id"])


def test_after_a_death_with_a_logged_batch_every_change_is_in_the_table_once(spark, tmp_path):
    with Simulator("serve", "--source", "example") as simulator:
        orders = [_record(f"o{n:03}", n, False) for n in range(100)]
        deleted = [_record(f"x{n:03}", 2 * n, True) for n in range(50)]
        simulator.set_records("example", "orders", orders)
        simulator.set_records("example", "deleted_orders", deleted)
        options = example(simulator, "orders", readChangeFeed="true", max_records_per_batch=20)
        undisturbed = tmp_path / "undisturbed"
        run = streams.drain(
            streams.load(spark, options), undisturbed / "table", undisturbed / "checkpoint"
        )
        assert run.rows == 150 and len(run.batches) >= 3
        table, checkpoint = tmp_path / "table", Checkpoint(tmp_path / "checkpoint")
        jars = (environment.testing_jar(), *environment.delta_jars())
        spec = {
            "jars": [str(jar) for jar in jars],
            "folder": str(tmp_path / "spark"),
            "delta": bool(environment.delta_jars()),
            "options": options,
            "format": streams.table_format(),
            "table": str(table),
            "checkpoint": str(checkpoint.folder),
            "kill_after_sink": None,
            "result": str(tmp_path / "result.json"),
        }
        fail_file = tmp_path / "failed-at.txt"
        variables = {
            "LAKEFLOW_FAIL_FILE": str(fail_file),
            "LAKEFLOW_FAIL_POINT": "first_batch_read@2",
        }
        script = Path(__file__).with_name("driver.py")
        python = environment.python()

        processes.run(python, script, spec, tmp_path / "process", environment=variables)

        assert json.loads((tmp_path / "result.json").read_text())["jvm_exit"] in (137, -9)
        assert fail_file.read_text() == "first_batch_read 2\n"
        assert (checkpoint.logged(), checkpoint.committed()) == ([0, 1], [0])
        # What was logged comes again as it was, whatever has become of it.
        simulator.set_records("example", "orders", orders[1:])
        streams.drain(streams.load(spark, options), table, checkpoint.folder)

    changes = _changes(spark, table)
    assert changes == _changes(spark, undisturbed / "table")
    [first] = [row for row in changes if row["order_id"] == orders[0]["order_id"]]
    assert first["_commit_version"] == 2, "it was in the batch that was logged"
    assert {row["_change_type"] for row in changes} == {"update_postimage", "delete"}
