"""A line of progress on long reads, in terminals and notebooks; nothing where nobody looks."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# The plain one: that of notebooks wants widgets, and says so in the cell where there are none.
from tqdm import tqdm

#: Seconds that a read takes before it shows itself.
_DELAY = 2.0

#: Seconds between two looks at a read that goes on by itself.
_LOOK = 0.5


class Progress:
    """What a read has done so far, in one line; use as a context manager.

    Args:
        name: what is read.
        shown: whether to show it; unset, where somebody looks.
    """

    def __init__(self, name: str, *, shown: bool | None = None):
        self._name = name
        self._shown = _is_watched() if shown is None else shown
        self._begun = time.time()
        self._bar: tqdm | None = None

    def show(self, rows: int, requests: int | None = None, waiting: bool = False) -> None:
        """Shows how far the whole read is, once it takes more than two seconds.

        Args:
            rows: rows that have come.
            requests: requests that were sent, if that is known.
            waiting: whether requests wait for the service's rate limit.
        """
        if not self._shown or time.time() - self._begun < _DELAY:
            return
        notes = [] if requests is None else [f"{requests} requests"]
        if waiting:
            notes.append("waiting for the service's rate limit")
        if self._bar is None:
            form = "{desc}: {n_fmt} rows, {elapsed}{postfix}"
            self._bar = tqdm(desc=self._name, bar_format=form, initial=rows, delay=_DELAY)
            self._bar.start_t = self._begun
        self._bar.n = rows
        self._bar.set_postfix_str(", ".join(notes), refresh=False)
        self._bar.refresh()

    @contextmanager
    def following(self, look: Callable[[], dict[str, Any]]) -> Iterator[None]:
        """Shows every half second what `look` gives for `show`, and once more at the end."""
        if not self._shown:
            yield
            return
        ended = threading.Event()

        def follow() -> None:
            while not ended.wait(_LOOK):
                self.show(**look())

        follower = threading.Thread(target=follow, name="lakeflow-progress", daemon=True)
        follower.start()
        try:
            yield
        finally:
            ended.set()
            follower.join()
            self.show(**look())

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


def _is_watched() -> bool:
    """Whether standard error is a terminal or the output of a notebook's cell."""
    # Whoever replaces standard error may forget what a file can be asked.
    if getattr(sys.stderr, "isatty", bool)():
        return True
    try:
        from IPython import get_ipython
    except ImportError:
        return False

    return getattr(get_ipython(), "kernel", None) is not None
