"""One of two drivers on one checkpoint: runs a stream into Delta and tells how it ended.

Takes one argument, a JSON file: `jars`, `folder`, `options`, `table`, `checkpoint` as in
`kill/driver.py`, and `result`: file that takes `{"error": <text or null>}`.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support import session, streams  # noqa: E402


def main(spec: dict):
    """Runs the stream until it ends, by itself or by an error."""
    session.use_host_zone()
    jars = [Path(jar) for jar in spec["jars"]]
    spark = session.start(
        "lakeflow-rival", jars, Path(spec["folder"]), delta=spec["delta"], cores=1
    )
    error = None
    try:
        frame = streams.load(spark, spec["options"])
        streams.drain(frame, Path(spec["table"]), Path(spec["checkpoint"]))
    except AssertionError:
        raise
    except Exception as failure:
        error = str(failure)
    Path(spec["result"]).write_text(json.dumps({"error": error}))
    spark.stop()


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
