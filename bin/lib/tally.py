"""Counts the tests in the output of one part of bin/test: `tally.py STATUS LOG`.

Prints `<passed> <failed>`. Understands cargo, JUnit's console launcher and pytest. A part without
any of them is one check, and a part that ended badly has failed at least once.
"""

import re
import sys
from pathlib import Path

_CARGO = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed;", re.MULTILINE)
_JUNIT = re.compile(r"^\[\s*(\d+) tests (successful|failed|skipped|aborted)\s*\]$", re.MULTILINE)
_PYTEST_END = re.compile(r"^=* ?((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s.*$", re.MULTILINE)
_PYTEST_COUNT = re.compile(r"(\d+) ([a-z]+)")

#: What pytest calls a test that did not pass. A skipped one proves nothing, so it counts as failed.
_PYTEST_FAILED = {"failed", "error", "errors", "skipped", "xfailed", "xpassed"}


def tally(status: int, log: str) -> tuple[int, int]:
    """The number of passed and of failed tests that `log` reports."""
    passed = failed = 0
    for good, bad in _CARGO.findall(log):
        passed += int(good)
        failed += int(bad)
    for count, outcome in _JUNIT.findall(log):
        if outcome == "successful":
            passed += int(count)
        else:
            failed += int(count)
    for line in _PYTEST_END.findall(log):
        for count, outcome in _PYTEST_COUNT.findall(line):
            if outcome == "passed":
                passed += int(count)
            elif outcome in _PYTEST_FAILED:
                failed += int(count)
    if status == 0 and passed + failed == 0:
        passed = 1
    if status != 0 and failed == 0:
        failed = 1

    return passed, failed


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print(*tally(int(sys.argv[1]), Path(sys.argv[2]).read_text(errors="replace")))
