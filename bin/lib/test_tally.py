import pytest
from tally import tally

CARGO = """
running 3 tests
test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
test result: ok. 40 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s
"""
JUNIT = """
[        12 containers found      ]
[        58 tests found           ]
[         0 tests skipped         ]
[         0 tests aborted         ]
[        57 tests successful      ]
[         1 tests failed          ]
"""


@pytest.mark.parametrize(
    ("status", "log", "expected"),
    [
        (101, CARGO, (42, 1)),
        (1, JUNIT, (57, 1)),
        (0, "===== 12 passed in 3.41s =====", (12, 0)),
        (1, "== 1 failed, 11 passed, 2 warnings in 71.20s (0:01:11) ==", (11, 1)),
        (1, "== 3 passed, 1 error in 2.00s ==", (3, 1)),
        (0, "== 3 passed, 1 skipped in 2.00s ==", (3, 1)),
        (0, "    Finished `release` profile", (1, 0)),
        (1, "error: could not compile", (0, 1)),
        (137, "test result: ok. 4 passed; 0 failed; 0 ignored;", (4, 1)),
    ],
)
def test_each_runner_is_counted_and_a_bad_end_never_passes(status, log, expected):
    assert tally(status, log) == expected
