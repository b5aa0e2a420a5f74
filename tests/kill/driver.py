"""A driver that is meant to die: runs one stream until a fail point ends its JVM.

Takes one argument, a JSON file:

- `jars`, `folder`, `delta`: as for `support.session.start`;
- `options`, `format`, `table`, `checkpoint`: the stream and where it goes;
- `kill_after_sink`: number of the micro-batch after whose commit in the table, and before its
  entry in Spark's commit log, the JVM is killed from outside; `null` if the fail point named in
  the environment ends it;
- `result`: file that takes `{"jvm_exit": <exit code of the JVM>}`.

Ends with 0 if the JVM died, with 3 if the stream came to its own end.
"""

import json
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support import session, streams  # noqa: E402


def main(spec: dict) -> int:
    """Runs the stream and waits for the JVM's death."""
    session.use_host_zone()
    folder, table = Path(spec["folder"]), Path(spec["table"])
    jars = [Path(jar) for jar in spec["jars"]]
    spark = session.start(
        "lakeflow-kill",
        jars,
        folder,
        delta=spec["delta"],
        cores=1,
        java_options="-XX:TieredStopAtLevel=1",
    )
    jvm = spark.sparkContext._gateway.proc
    checkpoint = Path(spec["checkpoint"])
    frame = streams.load(spark, spec["options"])
    try:
        if spec["kill_after_sink"] is None:
            streams.drain(frame, table, checkpoint, format=spec["format"])
        else:
            doomed = Doomed(spark, table, spec["kill_after_sink"])
            streams.drain_each(frame, checkpoint, doomed.append)
    except Exception as error:
        print(f"the driver lost its JVM: {type(error).__name__}", file=sys.stderr)
    else:
        print("the stream came to its own end", file=sys.stderr)
        spark.stop()
        return 3
    Path(spec["result"]).write_text(json.dumps({"jvm_exit": jvm.wait(timeout=60)}))

    return 0


class Doomed:
    """Appends micro-batches to a table and kills the JVM after one of them."""

    def __init__(self, spark, table: Path, last: int):
        self._jvm = spark.sparkContext._gateway.jvm.java.lang.ProcessHandle.current().pid()
        self._table = table
        self._last = last

    def append(self, frame, batch: int):
        """Appends once, whatever was appended under this number before."""
        append_once(frame, batch, self._table)
        if batch == self._last:
            line = Path(os.environ["LAKEFLOW_FAIL_FILE"])
            line.write_text(f"sink_committed {batch + 1}\n")
            os.kill(self._jvm, signal.SIGKILL)


def append_once(frame, batch: int, table: Path):
    """Appends a micro-batch so that a repetition of it has no effect."""
    if streams.table_format() == "delta":
        writer = frame.write.format("delta").mode("append")
        writer = writer.option("txnAppId", f"kill-{table.name}").option("txnVersion", batch)
        writer.save(str(table))
    else:
        frame.write.mode("overwrite").parquet(str(table / f"batch-{batch}"))


if __name__ == "__main__":
    status = main(json.loads(Path(sys.argv[1]).read_text()))
    sys.stdout.flush()
    os._exit(status)
