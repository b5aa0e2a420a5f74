"""Spark Connect: a client that is Python only reads through a server, by either door."""

import json
import socket
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import environment, ports, processes, session, wheel
from support.golden import golden, golden_rows
from support.servers import Server
from support.simulator import Simulator, example, github

_READS = ("github_issues", "example_events")


@pytest.fixture(scope="module", params=("jar", "wheel"))
def told(request, tmp_path_factory):
    """What a client read through a server that has the jar, or nothing but the wheel."""
    folder = tmp_path_factory.mktemp("connect")
    by_jar = request.param == "jar"
    with Simulator("serve", "--source", "github", "--source", "example") as simulator:
        for name in _READS:
            source, table = name.split("_", 1)
            simulator.set_records(source, table, golden(name)["records"])
        issues, events = github(simulator), example(simulator, "events")
        unnamed = {name: value for name, value in issues.items() if name != "sourceName"}
        result = folder / "result.json"
        with _with_jar(folder) if by_jar else _with_wheel(folder) as server:
            spec = {
                "server": server,
                "register": None if by_jar else "github",
                "reads": {
                    "github_issues": issues if by_jar else unnamed,
                    "example_events": events,
                    "tables": {**issues, "tableName": "_community_tables"},
                },
                "stream": events,
                "folder": str(folder / "stream"),
                "mistake": issues | {"per_pag": "7"},
                "result": str(result),
            }
            python = environment.path("LAKEFLOW_CONNECT_CLIENT") / "bin" / "python"
            if not by_jar:
                python = wheel.connect_client(folder / "client-environment")
            client = Path(__file__).with_name("client.py")
            alone = {"PATH": str(python.parent), "JAVA_HOME": ""}
            processes.run(python, client, spec, folder / "client", environment=alone)

    return json.loads(result.read_text())


def _with_jar(folder: Path):
    return _server(folder / "server", ["--jars", str(environment.jar())])


def _with_wheel(folder: Path):
    python = wheel.with_spark(folder / "server-environment", environment.spark_line())
    home = next(python.parent.parent.glob("lib/python3*/site-packages/pyspark"))
    variables = wheel.alone(python) | {"PYSPARK_PYTHON": str(python)}

    return _server(folder / "server", [], variables=variables, spark_home=home)


@contextmanager
def _server(folder: Path, more: list[str], **how):
    """A Spark Connect server of the suite's Spark; what a client names."""
    port = ports.free()
    settings = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": port,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.session.timeZone": session.SESSION_ZONE,
        "spark.ui.enabled": "false",
    }
    arguments = [
        *("--class", "org.apache.spark.sql.connect.service.SparkConnectServer"),
        *("--master", "local[2]", "--driver-memory", "1g"),
        *more,
        *(part for key, value in settings.items() for part in ("--conf", f"{key}={value}")),
        "spark-internal",
    ]
    with Server("spark-submit", arguments, folder, **how) as server:
        server.until(lambda: _listens(port))
        yield f"sc://127.0.0.1:{port}"


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("name", _READS)
def test_a_connect_client_reads_the_golden_rows(told, name):
    assert told["rows"][name] == golden_rows(name)


def test_a_connect_client_reads_virtual_tables(told):
    assert {"issues", "commits"} < {row["tableName"] for row in told["rows"]["tables"]}


def test_a_connect_client_streams_what_there_is_once(told):
    rows = golden_rows("example_events")

    assert told["runs"] == [len(rows), 0]
    assert told["rows"]["stream"] == rows


def test_a_mistake_reaches_a_connect_client_in_words(told):
    assert "[CONFIG_INVALID] unknown option 'per_pag'" in told["error"]
    assert "did you mean 'per_page'?" in told["error"]
