"""Tables by a specification through Spark Connect, whose server runs the merges."""

import json
from pathlib import Path

import pytest
from support import connections, environment, processes, wheel
from support.servers import connect_server
from support.simulator import Simulator, example

_DELTA = {
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.session.timeZone": "UTC",
}


def _order(key: str, status: str, day: int) -> dict:
    updated = f"2026-01-0{day}T00:00:00+00:00"
    order = {"order_id": key, "user_id": "u", "amount": 1.0, "status": status}

    return order | {"updated_at": updated}


@pytest.mark.delta
def test_a_client_keeps_a_table_of_all_versions(tmp_path):
    python = wheel.with_spark(tmp_path / "python", environment.spark_line(), pipelines=True)
    # Two pages: where the Python data source gets one micro-batch in a run, that takes two runs.
    configuration = {"scd_type": "SCD_TYPE_2", "max_records_per_batch": "1"}
    others = [_order(f"x{n:02}", "open", 1) for n in range(60)]
    table = {"source_table": "orders", "table_configuration": configuration}
    with Simulator("serve", "--source", "example") as simulator:
        simulator.set_records(
            "example", "orders", [_order("a", "open", 1), _order("b", "open", 1), *others]
        )
        options = example(simulator, "orders")
        del options["tableName"]
        file = connections.file(tmp_path, shop=options)
        variables = {"LAKEFLOW_CONNECTIONS_FILE": str(file)}
        server = connect_server(
            tmp_path / "server",
            environment.delta_jars(),
            python,
            settings=_DELTA,
            variables=variables,
        )
        with server as address:
            spec = {
                "server": address,
                "pipeline": {"connection_name": "shop", "objects": [{"table": table}]},
                "checkpoints": str(tmp_path / "checkpoints"),
                "simulator": simulator.url,
                "later": [_order("a", "paid", 3), _order("b", "open", 1), *others],
                "result": str(tmp_path / "result.json"),
            }
            client = Path(__file__).with_name("ingest_client.py")
            alone = wheel.alone(python)
            processes.run(python, client, spec, tmp_path / "client", environment=alone)

    told = json.loads((tmp_path / "result.json").read_text())
    assert told["runs"] == [62, 1]
    assert len(told["rows"]) == 63
    assert [row for row in told["rows"] if row[0] in "ab"] == [
        ["a", "2026-01-01", "2026-01-03", "open"],
        ["a", "2026-01-03", "None", "paid"],
        ["b", "2026-01-01", "None", "open"],
    ]
