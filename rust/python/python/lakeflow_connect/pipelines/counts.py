"""Counts of a stream while it catches up: of batches by Spark, and within them by its reader."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..progress import Progress

if TYPE_CHECKING:
    from pyspark.sql.streaming import StreamingQuery

#: Seconds between two looks at a query.
_LOOK = 0.5


class StreamCounts:
    """What a query that reads one table has done; use as a context manager."""

    def __init__(self):
        handle, name = tempfile.mkstemp(prefix="lakeflow-progress-", suffix=".json")
        os.close(handle)
        self._file = Path(name)
        self._live: dict[str, Any] = {}
        self._batches: dict[int, int] = {}
        self._requests: int | None = None

    @property
    def options(self) -> dict[str, str]:
        """What the stream must be read with, so that it tells of itself within batches."""
        return {"progressFile": str(self._file)}

    @property
    def rows(self) -> int:
        """Rows of the batches that have ended."""
        return sum(self._batches.values())

    def follow(self, query: StreamingQuery, name: str) -> None:
        """Shows a query's progress until it ends; one that is left early is stopped.

        Raises:
            StreamingQueryException: the query failed.
        """
        with Progress(name) as progress:
            try:
                # In pieces, so that Ctrl-C is heard, and no batch is forgotten before it is seen.
                while not query.awaitTermination(_LOOK):
                    progress.show(**self._look(query))
            except BaseException:
                query.stop()
                raise
            finally:
                progress.show(**self._look(query))

    def __enter__(self) -> StreamCounts:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.unlink(missing_ok=True)

    def _look(self, query: StreamingQuery) -> dict[str, Any]:
        # Spark itself remembers its last batches only.
        for batch in query.recentProgress:
            told = json.loads(batch.json) if hasattr(batch, "json") else batch
            # Clients of Spark Connect are told no sum of a batch.
            source = told["sources"][0]
            self._batches[told["batchId"]] = max(
                source["numInputRows"], self._batches.get(told["batchId"], 0)
            )
            requests = (source.get("metrics") or {}).get("requests")
            self._requests = self._requests if requests is None else int(requests)
        live = self._read_file()
        requests = [n for n in (self._requests, live.get("requests")) if n is not None]

        return {
            "rows": max(self.rows, live.get("records", 0)),
            "requests": max(requests, default=None),
            "waiting": query.isActive and live.get("waiting", False),
        }

    def _read_file(self) -> dict[str, Any]:
        """The reader's last word; a server on another machine has none."""
        try:
            self._live = json.loads(self._file.read_text("utf-8"))
        except (OSError, ValueError):
            pass  # Nothing yet, just being written, or tidied away.

        return self._live
