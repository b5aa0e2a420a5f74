"""Apache Spark's own pipelines, run for real with nothing but the wheel."""

import json
import subprocess
from pathlib import Path

import pytest
from support import connections, corpus, wheel
from support.simulator import Simulator, example

#: The main line, which is the first with pipelines, and the newest.
_LINES = ("4_1", "4_3")

_DEFINITIONS = """
import json
from pathlib import Path

from lakeflow_connect import ingest
from pyspark.sql import SparkSession

spec = json.loads(Path(__file__).with_name("spec.json").read_text())
ingest(SparkSession.active(), spec)
"""

_PROJECT = """
name: test
storage: {folder}/storage
libraries:
  - glob:
      include: definitions.py
"""


class Project:
    """A pipeline in a folder of its own, of one specification."""

    def __init__(self, folder: Path, python: Path, connections_file: Path):
        self._folder, self._python = folder, python
        self._variables = wheel.alone(python) | {
            "LAKEFLOW_CONNECTIONS_FILE": str(connections_file),
            "PYSPARK_PYTHON": str(python),
            "SPARK_LOCAL_IP": "127.0.0.1",
        }
        (folder / "definitions.py").write_text(_DEFINITIONS)
        (folder / "spark-pipeline.yml").write_text(_PROJECT.format(folder=folder.as_uri()))

    def run(self, **tables: dict) -> subprocess.CompletedProcess:
        """Runs the pipeline once: name of each table of the source to its configuration."""
        objects = [
            {"table": {"source_table": name, "table_configuration": configuration}}
            for name, configuration in tables.items()
        ]
        spec = {"connection_name": "example", "objects": objects}
        (self._folder / "spec.json").write_text(json.dumps(spec))
        home = next(self._python.parent.parent.glob("lib/python3*/site-packages/pyspark"))
        return subprocess.run(
            [
                *(home / "bin" / "spark-pipelines", "run", "--spec", "spark-pipeline.yml"),
                # A catalog that outlives the run.
                *("--conf", "spark.sql.catalogImplementation=hive"),
            ],
            cwd=self._folder,
            env=self._variables | {"SPARK_HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )

    def table(self, name: str) -> Path:
        """Where the rows of a table are."""
        return self._folder / "spark-warehouse" / name


@pytest.fixture(params=_LINES)
def project(request, tmp_path):
    """A project on a Spark line, and the service that it reads."""
    python = wheel.with_spark(tmp_path / "venv", request.param, pipelines=True)
    folder = tmp_path / "project"
    folder.mkdir()
    with Simulator("serve", "--source", "example") as simulator:
        options = example(simulator, "events")
        del options["tableName"]
        file = connections.file(tmp_path, example=options)
        yield Project(folder, python, file), simulator


def _ids(spark, path: Path, column: str) -> list[str]:
    rows = spark.read.parquet(str(path)).select(column).collect()

    return sorted(row[0] for row in rows)


def test_rows_are_appended_and_snapshots_replaced(spark, project):
    project, simulator = project
    events = [corpus.event(n, corpus.hours_ago(5)) for n in range(30)]
    simulator.set_records("example", "events", events)
    products = simulator.records("example", "products")[:20]
    simulator.set_records("example", "products", products)

    ran = project.run(events={}, products={})
    assert ran.returncode == 0, ran.stdout[-4000:]
    assert _ids(spark, project.table("events"), "event_id") == [e["event_id"] for e in events]
    assert len(_ids(spark, project.table("products"), "product_id")) == 20

    late = corpus.event(30, corpus.hours_ago(1))
    simulator.set_records("example", "events", [*events, late])
    simulator.set_records("example", "products", products[:5])
    simulator.clear_requests()
    ran = project.run(events={}, products={})
    assert ran.returncode == 0, ran.stdout[-4000:]
    told = [e["event_id"] for e in (*events, late)]
    assert _ids(spark, project.table("events"), "event_id") == told
    assert len(_ids(spark, project.table("products"), "product_id")) == 5


def test_what_needs_merges_is_refused_before_anything_is_created(project):
    project, _ = project
    ran = project.run(events={}, orders={}, products={"scd_type": "SCD_TYPE_2"})

    assert ran.returncode != 0
    for told in (
        "table 'orders' (changes and deletes by key)",
        "table 'products' (history of snapshots)",
        "outside of a pipeline, which writes them to Delta Lake",
    ):
        assert told in ran.stdout, ran.stdout[-4000:]
    assert not project.table("events").exists()
