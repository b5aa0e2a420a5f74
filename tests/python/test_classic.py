"""Spark with the jar that the wheel carries, in a fresh environment and an empty folder."""

import json
import re
from pathlib import Path

import pytest
from support import environment, processes, wheel
from support.golden import golden, golden_rows
from support.simulator import Simulator, github

_DRIVER = Path(__file__).with_name("classic_driver.py")


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
            "jars_by": "builder" if request.param == "3_5" else "defaults",
            "result": str(folder / "result.json"),
        }
        alone = wheel.alone(python)
        processes.run(python, _DRIVER, spec, folder / "empty", environment=alone)
    told = {
        "python": python,
        "line": request.param,
        "folder": folder,
        "golden": golden_rows("github_issues"),
    }

    return json.loads((folder / "result.json").read_text()) | told


def test_the_jar_joins_those_that_a_session_has(seen):
    assert seen["jars"] == ["other.jar", environment.jar().name]


def test_the_jar_of_the_wheel_gives_the_golden_rows(seen):
    assert seen["rows"] == seen["golden"]
    assert "lakeflow_connect github.issues, PushedFilters: []" in seen["plan"]


def test_the_session_redacts_every_name_of_a_secret_or_what_its_administrator_wants(seen):
    if seen["line"] == "4_1":
        assert seen["redacted"] == "(?i)mine"
        return
    for name in ("token", "password", "client_secret", "api_key", "apiKey", "private_key"):
        assert re.search(seen["redacted"], name), name


def test_a_session_that_has_the_jar_gives_no_warning(seen):
    assert seen["warned"] == []


def test_who_configures_too_late_is_told_what_to_do(seen):
    folder = seen["folder"]
    spec = {"folder": str(folder / "late"), "result": str(folder / "late.json")}
    alone = wheel.alone(seen["python"])
    processes.run(seen["python"], _DRIVER, spec, folder / "empty-late", environment=alone)
    late, again, submitted = json.loads((folder / "late.json").read_text())

    assert late[0].startswith("Spark's JVM runs already and takes no jars any more: call configure")
    assert submitted[0].startswith("the jars of PYSPARK_SUBMIT_ARGS win: add /")
    assert {Path(where).name for _, where in (late, again, submitted)} == {"classic_driver.py"}
