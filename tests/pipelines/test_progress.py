"""The line of progress: where somebody looks, and nowhere else."""

import io
import re
import sys
import threading

import pytest
from lakeflow_connect import progress
from lakeflow_connect.progress import Progress


@pytest.fixture
def terminal(monkeypatch):
    """Makes standard error a terminal, from the call on, and lets nothing be delayed."""

    def terminal() -> io.StringIO:
        told = io.StringIO()
        told.isatty = lambda: True
        monkeypatch.setattr(sys, "stderr", told)
        monkeypatch.setattr(progress, "_DELAY", 0)
        return told

    return terminal


def _last_line(told: io.StringIO) -> str:
    return told.getvalue().rstrip("\n").rsplit("\r", 1)[-1].rstrip()


def test_a_terminal_shows_rows_requests_and_waiting(terminal):
    told = terminal()
    with Progress("github.issues") as line:
        line.show(10_000, 100)
        line.show(20_000, 200, waiting=True)
        waiting = line._bar.postfix
        line.show(30_000, 300)

    assert waiting == "200 requests, waiting for the service's rate limit"
    assert _last_line(told).startswith("github.issues: 30000 rows, 00:0")
    assert _last_line(told).endswith(", 300 requests")


def test_a_format_without_counters_shows_rows(terminal):
    told = terminal()
    with Progress("orders") as line:
        line.show(5)

    assert _last_line(told).startswith("orders: 5 rows, 00:0")


def test_a_read_that_goes_on_by_itself_is_followed(terminal, monkeypatch):
    monkeypatch.setattr(progress, "_LOOK", 0.01)
    told, looks, enough = terminal(), [], threading.Event()

    def look() -> dict:
        looks.append(len(looks))
        if len(looks) == 3:
            enough.set()
        return {"rows": 10 * len(looks)}

    with Progress("orders") as line, line.following(look):
        assert enough.wait(10)

    assert looks == list(range(len(looks)))
    assert _last_line(told).startswith(f"orders: {10 * len(looks)} rows, 00:0")
    assert "orders: 10 rows" in told.getvalue()


def test_what_ends_soon_and_what_nobody_sees_shows_nothing(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_LOOK", 0.01)
    for shown in (True, None):
        looked = threading.Event()

        def look(looked=looked) -> dict:
            looked.set()
            return {"rows": 5}

        with Progress("quick", shown=shown) as line, line.following(look):
            line.show(5)
            assert shown is None or looked.wait(10)

    assert capsys.readouterr().err == ""


def test_the_last_line_is_that_of_the_end(terminal):
    told = terminal()
    with Progress("orders") as line, line.following(lambda: {"rows": 7, "requests": 3}):
        pass

    assert re.fullmatch(
        r"\rorders: 7 rows, 00:0\d, 3 requests *\n", "\r" + told.getvalue().rsplit("\r", 1)[-1]
    )


def test_a_process_without_standard_error_shows_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with Progress("orders") as line:
        line.show(5)

    assert line._bar is None
