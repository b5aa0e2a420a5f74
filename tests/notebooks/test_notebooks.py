"""The notebooks of the docs, run as their readers would, give what they show."""

import json
import os
from pathlib import Path

import pytest
from support import connections, environment, processes, wheel
from support.golden import golden
from support.simulator import Simulator, example

_ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """An environment with the wheel, Spark, and what runs notebooks."""
    return wheel.with_notebooks(tmp_path_factory.mktemp("notebooks") / "venv", "4_1")


def _run(name: str, python: Path, folder: Path, **variables: str):
    """Runs a notebook as its reader would, and compares what its cells show.

    With `LAKEFLOW_KEEP_NOTEBOOKS=1` the notebook is written anew: read the difference.
    """
    notebook = _ROOT / "docs" / "notebooks" / f"{name}.ipynb"
    keep = notebook if os.environ.get("LAKEFLOW_KEEP_NOTEBOOKS") else None
    result = folder / "result.json"
    spec = {"notebook": str(notebook), "result": str(result), "keep": keep and str(keep)}
    script = Path(__file__).with_name("run.py")
    processes.run(
        python, script, spec, folder / "process", environment=wheel.alone(python) | variables
    )

    cells = json.loads(notebook.read_text())["cells"]
    shown = [_texts(cell) for cell in cells]
    assert any(shown)
    assert json.loads(result.read_text()) == shown


def _texts(cell: dict) -> list[str]:
    return ["".join(output["data"]["text/plain"]) for output in cell.get("outputs", [])]


def test_the_first_read(python, tmp_path):
    with Simulator("serve", "--source", "github") as simulator:
        simulator.set_records("github", "issues", golden("github_issues")["records"])
        _run(
            "first_read",
            python,
            tmp_path,
            LAKEFLOW_GITHUB_TOKEN="t0ken-for-tests",
            GITHUB_API_URL=simulator.base_url("github"),
        )


def test_the_pipeline_into_scd2(python, tmp_path):
    def order(key: str, status: str, day: int) -> dict:
        order = {"order_id": key, "user_id": "u1", "amount": 9.5, "status": status}
        return order | {"updated_at": f"2026-01-0{day}T00:00:00+00:00"}

    with Simulator("serve", "--source", "example") as simulator:
        simulator.set_records("example", "orders", [order(f"o{n}", "open", 1) for n in (1, 2, 3)])
        options = example(simulator, "orders")
        file = connections.file(
            tmp_path, orders={n: v for n, v in options.items() if n != "tableName"}
        )
        _run(
            "scd2_pipeline",
            python,
            tmp_path,
            DELTA_JARS=",".join(map(str, environment.delta_jars())),
            LAKEFLOW_CONNECTIONS_FILE=str(file),
            SIMULATOR_URL=simulator.url,
        )
