"""One session with the testing jar serves every test of this folder."""

import json
from pathlib import Path

import pytest
from support import environment, processes
from support.simulator import Simulator, github


@pytest.fixture(scope="package")
def seen(tmp_path_factory):
    """What `driver.py` saw, and everything that its JVM printed."""
    folder = tmp_path_factory.mktemp("testing-jar")
    tests = Path(__file__).parent.parent
    with Simulator("serve", "--source", "github") as simulator:
        spec = {
            "jars": [str(environment.testing_jar())],
            "folder": str(folder / "spark"),
            "good": github(simulator),
            "cases_file": str(tests / "coercion" / "cases.json"),
            "result": str(folder / "result.json"),
        }
        script = Path(__file__).with_name("driver.py")
        output = processes.run(environment.python(), script, spec, folder / "process")

    result = json.loads((folder / "result.json").read_text())
    return result | {"output": output.read_text(errors="replace")}
