"""Spark against a bare Rust loop, and peak memory by size; see README.md beside this file."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).parent.parent))

from support import environment, processes, session, streams  # noqa: E402
from support.simulator import Simulator, github  # noqa: E402

_MOST_TIMES_THE_BARE_LOOP = 2.5
_MOST_GROWTH = 1.10
_SIZES = (50_000, 400_000)


def main() -> int:
    """Runs both parts; 0 if every promise holds."""
    parser = argparse.ArgumentParser(prog="bin/bench", description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--skip-memory", action="store_true")
    arguments = parser.parse_args()
    kept = True
    with tempfile.TemporaryDirectory(prefix="lakeflow-bench-") as name:
        kept &= compare(Path(name), arguments.rows, arguments.pairs)
        if not arguments.skip_memory:
            kept &= memory(Path(name))

    return 0 if kept else 1


def serve(rows: int) -> Simulator:
    """GitHub with `rows` issues; pages stay rendered once they were asked for."""
    size = f"github/issues={rows}"
    return Simulator("serve", "--source", "github", "--rows", size, "--cache-bodies")


def compare(folder: Path, rows: int, pairs: int) -> bool:
    """Prints both ways of reading side by side."""
    print(f"{rows} issues, {pairs} alternating pairs, one task, one server process", flush=True)
    with serve(rows) as simulator:
        spark = session.start("lakeflow-bench", [environment.jar()], folder, cores=1)
        options = github(simulator, per_page=100)
        urls = folder / "urls.txt"
        urls.write_text("\n".join(warm_up(spark, simulator, options, rows)) + "\n")
        with_spark, bare = [], []
        for number in range(pairs):
            turns = [
                lambda: with_spark.append(read_with_spark(spark, options)),
                lambda: bare.append(read_bare(urls, options["token"], rows)),
            ]
            for turn in turns if number % 2 == 0 else reversed(turns):
                turn()
            times = f"Spark {with_spark[-1]:6.3f} s   bare loop {bare[-1]:6.3f} s"
            print(f"  pair {number + 1}: {times}   {with_spark[-1] / bare[-1]:5.2f} times")
        spark.stop()
    show("Spark", with_spark, rows)
    show("bare loop", bare, rows)
    ratio = median(with_spark) / median(bare)
    ratios = [one / other for one, other in zip(with_spark, bare, strict=True)]
    kept = ratio <= _MOST_TIMES_THE_BARE_LOOP
    spread = f"pairs {min(ratios):.2f} to {max(ratios):.2f}"
    promised = f"promised {_MOST_TIMES_THE_BARE_LOOP}: {word(kept)}"
    print(f"  ratio      {ratio:.2f} ({spread}); {promised}", flush=True)

    return kept


def warm_up(spark, simulator: Simulator, options: dict, rows: int) -> list[str]:
    """Reads twice, so that code is compiled and bodies are rendered; the requests of one read."""
    assert streams.read(spark, options).count() == rows
    simulator.clear_requests()
    read_with_spark(spark, options)
    requests = simulator.requests()
    found = f"{len(requests)} requests, {sum(r.rows for r in requests)} rows served"
    print(f"  one read is {found}", flush=True)

    return [f"{simulator.url}{mounted(request)}" for request in requests]


def mounted(request) -> str:
    """Path and query of a logged request as the client sent them."""
    path = request.path
    if not path.startswith(f"/{request.source}/"):
        path = f"/{request.source}{path}"

    return f"{path}?{urlencode(request.query)}"


def read_with_spark(spark, options: dict) -> float:
    """Seconds of one read into `noop`."""
    begun = time.perf_counter()
    streams.read(spark, options).write.format("noop").mode("overwrite").save()

    return time.perf_counter() - begun


def read_bare(urls: Path, token: str, rows: int) -> float:
    """Seconds that the bare loop took, as it says."""
    command = [str(environment.path("LAKEFLOW_BARE_LOOP")), str(urls), token]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    answer = json.loads(done.stdout)
    assert answer["rows"] >= rows, answer

    return answer["seconds"]


def show(name: str, seconds: list[float], rows: int):
    """Prints the median of one way and its spread."""
    middle = median(seconds)
    spread = f"{min(seconds):.3f} to {max(seconds):.3f} s"
    print(f"  {name:<10} median {middle:.3f} s, {spread}, {rows / middle:,.0f} rows/s", flush=True)


def memory(folder: Path) -> bool:
    """Prints the peak memory of the JVM by the size of the table."""
    print("peak resident memory of the JVM under -Xmx512m, one read into noop", flush=True)
    peaks = []
    for rows in _SIZES:
        part = folder / f"peak-{rows}"
        with serve(rows) as simulator:
            spec = {
                "jars": [str(environment.jar())],
                "folder": str(part / "spark"),
                "options": github(simulator, per_page=100),
                "result": str(part / "result.json"),
            }
            script = Path(__file__).with_name("peak.py")
            processes.run(environment.python(), script, spec, part, seconds=900)
        seen = json.loads((part / "result.json").read_text())
        peaks.append(seen["peak_mb"])
        before = f"before the read {seen['before_mb']:.0f} MB"
        print(f"  {rows:>7} rows: {seen['peak_mb']:.0f} MB ({before})", flush=True)
    growth = peaks[-1] / peaks[0]
    kept = growth <= _MOST_GROWTH
    print(f"  growth {growth:.2f}; promised {_MOST_GROWTH:.2f}: {word(kept)}")

    return kept


def word(kept: bool) -> str:
    """How a promise is reported."""
    return "kept" if kept else "BROKEN"


if __name__ == "__main__":
    sys.exit(main())
