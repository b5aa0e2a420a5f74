"""Spark Connect: a client that is Python only reads through a server that has the jar."""

import json
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
from support import environment, ports, processes, session
from support.simulator import Simulator, example, github

_GOLDEN = Path(__file__).parent.parent / "golden"
_READS = ("github_issues", "example_events")

#: Longest start of a server, in seconds.
_PATIENCE = 120


def _golden(name: str) -> dict:
    return json.loads((_GOLDEN / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What a client read."""
    folder = tmp_path_factory.mktemp("connect")
    with Simulator("serve", "--source", "github", "--source", "example") as simulator:
        for name in _READS:
            source, table = name.split("_", 1)
            simulator.set_records(source, table, _golden(name)["records"])
        issues = github(simulator)
        result = folder / "result.json"
        with Server(folder / "server") as server:
            spec = {
                "server": server.address,
                "reads": {
                    "github_issues": issues,
                    "example_events": example(simulator, "events"),
                    "tables": {**issues, "tableName": "_community_tables"},
                },
                "mistake": issues | {"per_pag": "7"},
                "result": str(result),
            }
            python = environment.path("LAKEFLOW_CONNECT_CLIENT") / "bin" / "python"
            client = Path(__file__).with_name("client.py")
            alone = {"PATH": str(python.parent), "JAVA_HOME": ""}
            processes.run(python, client, spec, folder / "client", environment=alone)

    return json.loads(result.read_text())


class Server:
    """A Spark Connect server of the suite's Spark with the jar; use as a context manager."""

    def __init__(self, folder: Path):
        folder.mkdir()
        self._port = ports.free()
        home = environment.spark_home()
        settings = {
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.connect.grpc.binding.port": self._port,
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.sql.session.timeZone": session.SESSION_ZONE,
            "spark.ui.enabled": "false",
        }
        self._output = (folder / "output.txt").open("wb")
        self._process = subprocess.Popen(
            [
                str(home / "bin" / "spark-submit"),
                *("--class", "org.apache.spark.sql.connect.service.SparkConnectServer"),
                *("--master", "local[2]", "--driver-memory", "1g"),
                *("--jars", str(environment.jar())),
                *(part for key, value in settings.items() for part in ("--conf", f"{key}={value}")),
                "spark-internal",
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1"},
            cwd=folder,
        )

    @property
    def address(self) -> str:
        """What a client names."""
        return f"sc://127.0.0.1:{self._port}"

    def __enter__(self):
        give_up = time.monotonic() + _PATIENCE
        while not self._listens():
            told = Path(self._output.name).read_text(errors="replace")[-4000:]
            assert self._process.poll() is None, f"the server ended:\n{told}"
            assert time.monotonic() < give_up, f"no server within {_PATIENCE} s:\n{told}"
            time.sleep(0.2)
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(timeout=60)
        self._output.close()

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        except OSError:
            return False
        return True


@pytest.mark.parametrize("name", _READS)
def test_a_connect_client_reads_the_golden_rows(told, name):
    rows = _golden(name)["rows"]
    key = next(iter(rows[0]))

    assert told["rows"][name] == sorted(rows, key=lambda row: row[key])


def test_a_connect_client_reads_virtual_tables(told):
    assert {"issues", "commits"} < {row["tableName"] for row in told["rows"]["tables"]}


def test_a_mistake_reaches_a_connect_client_in_words(told):
    assert "[CONFIG_INVALID] unknown option 'per_pag'" in told["error"]
    assert "did you mean 'per_page'?" in told["error"]
