"""Running streams, and reading what Spark left in a checkpoint."""

import json
from dataclasses import dataclass
from pathlib import Path

from support import environment

#: Longest time a query may take, in seconds; a query that does not end by itself is a failure.
PATIENCE_SECONDS = 180


@dataclass(frozen=True)
class Run:
    """One run of a query, from start to its own end."""

    batches: list[int]
    progress: list[dict]

    @property
    def rows(self) -> int:
        """Rows over all micro-batches."""
        return sum(self.batches)


def load(spark, options: dict):
    """A stream of `options`."""
    return spark.readStream.format("lakeflow_connect").options(**options).load()


def read(spark, options: dict):
    """A batch read of `options`."""
    return spark.read.format("lakeflow_connect").options(**options).load()


def table_format() -> str:
    """The format of tables that streams write: Delta, or Parquet where Delta has no release."""
    return "delta" if environment.delta_jars() else "parquet"


def table(spark, path: Path):
    """What streams have written to `path`."""
    reader = spark.read.format(table_format())

    return reader.option("recursiveFileLookup", "true").load(str(path))


def drain(frame, table: Path, checkpoint: Path, *, format: str | None = None) -> Run:
    """Runs a stream with AvailableNow into a table and waits until it ends by itself."""
    writer = frame.writeStream.format(format or table_format()).outputMode("append")
    writer = writer.trigger(availableNow=True)
    query = writer.option("checkpointLocation", str(checkpoint)).start(str(table))

    return finish(query)


def drain_each(frame, checkpoint: Path, act) -> Run:
    """Runs a stream with AvailableNow, `act(frame, batch_id)` for each micro-batch."""
    writer = frame.writeStream.foreachBatch(act).trigger(availableNow=True)
    query = writer.option("checkpointLocation", str(checkpoint)).start()

    return finish(query)


def finish(query) -> Run:
    """Waits for the end of a query.

    Raises:
        AssertionError: it did not end within `PATIENCE_SECONDS`.
    """
    ended = query.awaitTermination(PATIENCE_SECONDS)
    if not ended:
        state = query.status
        query.stop()
        raise AssertionError(f"the query did not end within {PATIENCE_SECONDS} s: {state}")
    progress = [_as_dict(event) for event in query.recentProgress]
    # Clients of Spark Connect are told no sum.
    counts = ((p["batchId"], sum(s["numInputRows"] for s in p["sources"])) for p in progress)
    batches = {batch: rows for batch, rows in counts if rows > 0}

    return Run([rows for _, rows in sorted(batches.items())], progress)


def _as_dict(event) -> dict:
    return json.loads(event.json) if hasattr(event, "json") else event


def requests_reported(run: Run) -> int:
    """API requests that the stream counted, as its last progress event says."""
    return int(run.progress[-1]["sources"][0]["metrics"]["requests"])


class Checkpoint:
    """The folder of a checkpoint on a local disk."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)

    def logged(self) -> list[int]:
        """Numbers of the batches whose offsets were logged."""
        return _numbers(self.folder / "offsets")

    def committed(self) -> list[int]:
        """Numbers of the batches that were completed."""
        return _numbers(self.folder / "commits")

    def offset_texts(self, batch: int) -> list[str]:
        """The logged end offsets of a batch, one per source, exactly as Spark wrote them."""
        lines = (self.folder / "offsets" / str(batch)).read_text().splitlines()
        return lines[2:]

    def offset(self, batch: int, source: int = 0) -> dict:
        """A logged end offset, decoded."""
        return json.loads(self.offset_texts(batch)[source])

    def slices(self, source: int = 0) -> list[Path]:
        """Files of slices in the store of a source."""
        folder = self.folder / "sources" / str(source)
        return sorted(folder.rglob("*.arrow"))

    def files(self) -> dict[str, bytes]:
        """Every file by its path in the folder."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in sorted(found)}


def _numbers(folder: Path) -> list[int]:
    if not folder.exists():
        return []

    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
