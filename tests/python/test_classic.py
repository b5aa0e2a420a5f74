"""Spark with the jar that the wheel carries, in a fresh environment and an empty folder."""

import json
import re
from pathlib import Path

import pytest
from support import environment, processes, wheel
from support.golden import golden, golden_rows
from support.simulator import Simulator, github


@pytest.fixture(scope="module", params=("3_5", "4_1"))
def seen(request, tmp_path_factory):
    """What a session saw."""
    folder = tmp_path_factory.mktemp(f"classic-{request.param}")
    python = wheel.with_spark(folder / "environment", request.param)
    with Simulator("serve", "--source", "github") as simulator:
        simulator.set_records("github", "issues", golden("github_issues")["records"])
        spec = {
            "options": github(simulator),
            "folder": str(folder / "spark"),
            "result": str(folder / "result.json"),
        }
        script = Path(__file__).with_name("classic_driver.py")
        alone = wheel.alone(python)
        processes.run(python, script, spec, folder / "empty", environment=alone)
    rows = golden_rows("github_issues")

    return json.loads((folder / "result.json").read_text()) | {"golden": rows}


def test_the_jar_joins_those_that_a_session_has(seen):
    assert seen["jars"] == ["other.jar", environment.jar().name]


def test_the_jar_of_the_wheel_gives_the_golden_rows(seen):
    assert seen["rows"] == seen["golden"]
    assert "lakeflow_connect github.issues, PushedFilters: []" in seen["plan"]


def test_the_session_redacts_every_name_of_a_secret(seen):
    for name in ("token", "password", "client_secret", "api_key", "apiKey", "private_key"):
        assert re.search(seen["redacted"], name), name
