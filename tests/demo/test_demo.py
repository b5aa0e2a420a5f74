"""The demo itself: it runs to its end and tells what it should."""

import re
from pathlib import Path

from support import environment, processes


def test_the_demo_shows_a_table_a_stream_and_only_the_changes(tmp_path):
    script = Path(__file__).with_name("demo.py")

    output = processes.run(environment.python(), script, {}, tmp_path).read_text()

    counted = [int(n) for n in re.findall(r"API requests +(\d+)", output)]
    assert len(counted) == 3 and min(counted) >= 1, output
    rows = [int(n) for n in re.findall(r"^ +rows +(\d+)$", output, re.MULTILINE)]
    assert rows[0] == rows[1] and rows[2] == 2, output
    assert len(re.findall(r"micro-batch \d+", output)) >= 3, output
    assert output.rstrip().endswith("agrees with the simulator's request log"), output
