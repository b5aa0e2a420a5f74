"""Spark Connect: a client that is Python only reads through a server, by either door."""

import json
from pathlib import Path

import pytest
from support import environment, processes, wheel
from support.golden import golden, golden_rows
from support.servers import connect_server
from support.simulator import Simulator, example, github

_READS = ("github_issues", "example_events")
_LINE = environment.spark_line()


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
        jars = [environment.jar()] if by_jar else []
        python = None if by_jar else wheel.with_spark(folder / "server-python", _LINE)
        with connect_server(folder / "server", jars, python) as server:
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
