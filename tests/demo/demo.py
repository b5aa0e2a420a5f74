"""First light: GitHub issues from the bundled simulator, as a table and as a stream.

Uses Spark's public API and the built jar only. Every number that is printed is compared with the
simulator's request log at once; a difference ends the demo with an error.
"""

import json
import sys
import tempfile
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support import environment, session, streams  # noqa: E402
from support.simulator import Simulator  # noqa: E402

_TOKEN = "demo-token"
_COLUMNS = ("number", "title", "state", "user.login", "comments", "updated_at")


def main():
    """Runs the three steps."""
    with (
        tempfile.TemporaryDirectory(prefix="lakeflow-demo-") as name,
        Simulator("serve", "--source", "github") as simulator,
    ):
        say("simulator", f"a GitHub API with made-up issues at {simulator.base_url('github')}")
        folder = Path(name)
        jars = [environment.jar(), *environment.delta_jars()]
        settings = {"spark.ui.enabled": "true", "spark.ui.port": "0"}
        spark = session.start(
            "lakeflow-demo", jars, folder, delta=True, zone="UTC", settings=settings
        )
        say("Spark", f"{spark.version} with {environment.jar().name}")
        Demo(spark, simulator, folder).run()
        spark.stop()
    say("done", "every number above agrees with the simulator's request log")


class Demo:
    """The steps, their session and their simulator."""

    def __init__(self, spark, simulator: Simulator, folder: Path):
        self._spark = spark
        self._simulator = simulator
        self._table = folder / "issues"
        self._checkpoint = folder / "checkpoint"
        self._options = {
            "sourceName": "github",
            "token": _TOKEN,
            "base_url": simulator.base_url("github"),
            "tableName": "issues",
            "owner": "acme",
            "repo": "widgets",
            "per_page": "20",
            "max_records_per_batch": "40",
        }

    def run(self):
        """A batch read, a first stream run, changes at the source, a second stream run."""
        rows = self.batch()
        first = self.stream("the first run reads everything, in micro-batches")
        check("rows of the stream", first.rows, rows)
        changed = self.change()
        second = self.stream("the second run reads only what changed")
        check("rows of the second run", second.rows, len(changed))
        self.result(changed)

    def batch(self) -> int:
        """Reads the table once and shows some rows."""
        title("1. A table: spark.read.format('lakeflow_connect')")
        self._simulator.clear_requests()
        frame = streams.read(self._spark, self._options).select(*_COLUMNS)
        rows = frame.collect()
        show(rows[:5], _COLUMNS)
        requests = batch_requests(self._spark)
        say("rows", str(len(rows)))
        say("API requests", str(requests))
        self.compare(requests)
        check("different issues in the log", len(rows), len({row.number for row in rows}))

        return len(rows)

    def stream(self, what: str) -> streams.Run:
        """Runs the stream with AvailableNow into the Delta table until it ends by itself."""
        title(f"{'2' if not self._table.exists() else '4'}. A stream into Delta: {what}")
        self._simulator.clear_requests()
        frame = streams.load(self._spark, self._options)
        run = streams.drain(frame, self._table, self._checkpoint)
        for number, rows in enumerate(run.batches):
            say(f"micro-batch {number}", f"{rows} rows")
        requests = streams.requests_reported(run)
        say("rows", str(run.rows))
        say("API requests", str(requests))
        self.compare(requests)

        return run

    def change(self) -> set[int]:
        """Changes the source through its own API; returns the issues' numbers."""
        title("3. The source changes")
        path = "/github/repos/acme/widgets/issues"
        made = self.send("POST", path, {"title": "The cog slips again"})
        say("POST", f"issue {made['number']}: {made['title']}")
        renamed = self.send("PATCH", f"{path}/3", {"title": "Renamed while nobody looked"})
        say("PATCH", f"issue {renamed['number']}: {renamed['title']}")

        return {made["number"], renamed["number"]}

    def send(self, method: str, path: str, body: dict) -> dict:
        """A call as any client of the service would make it."""
        return self._simulator.call(method, path, body, {"Authorization": f"Bearer {_TOKEN}"})

    def result(self, changed: set[int]):
        """Shows the changed issues in the Delta table, every version of them."""
        title("5. The Delta table")
        table = self._spark.read.format("delta").load(str(self._table)).select(*_COLUMNS)
        rows = table.where(table.number.isin(*changed)).orderBy("number", "updated_at").collect()
        show(rows, _COLUMNS)
        say("rows in all", str(table.count()))

    def compare(self, requests: int):
        """Fails unless the log holds exactly the requests that were counted."""
        log = [request for request in self._simulator.requests() if request.method == "GET"]
        check("requests in the simulator's log", len(log), requests)


def batch_requests(spark) -> int:
    """API requests of the last query, as Spark's own REST interface shows them."""
    context = spark.sparkContext
    url = f"{context.uiWebUrl}/api/v1/applications/{context.applicationId}/sql?length=1000"
    with urllib.request.urlopen(url, timeout=30) as response:
        queries = json.load(response)
    last = max(queries, key=lambda query: query["id"])
    found = [
        metric["value"]
        for node in last["nodes"]
        for metric in node["metrics"]
        if metric["name"] == "API requests"
    ]

    return sum(int(value.replace(",", "")) for value in found)


def check(what: str, found: int, wanted: int):
    """Ends the demo with an error if two numbers differ."""
    if found != wanted:
        raise SystemExit(f"the demo contradicts itself: {what}: {found}, expected {wanted}")


def title(text: str):
    """Prints a heading."""
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def say(label: str, text: str):
    """Prints one fact."""
    print(f"{label:>14}  {text}", flush=True)


def show(rows: list, names: tuple):
    """Prints rows as a table."""
    heads = [name.split(".")[-1] for name in names]
    cells = [heads] + [["" if value is None else str(value) for value in row] for row in rows]
    widths = [min(40, max(len(line[i]) for line in cells)) for i in range(len(heads))]
    for number, line in enumerate(cells):
        padded = [cell[:width].ljust(width) for cell, width in zip(line, widths)]
        print("  " + "  ".join(padded).rstrip())
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))


if __name__ == "__main__":
    main()
