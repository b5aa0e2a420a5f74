"""Reads one table into `noop` and writes down the peak memory of the JVM.

Takes one argument, a JSON file: `jars`, `folder`, `options`, `result`.
"""

import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support import session, streams  # noqa: E402


def main(spec: dict):
    """Reads once; the heap has 512 MB, all of them touched at the start.

    A heap that the JVM fills at leisure would look like growth; what does not fit fails the read.
    """
    jars = [Path(jar) for jar in spec["jars"]]
    settings = {"spark.driver.memory": "512m"}
    spark = session.start(
        "lakeflow-peak",
        jars,
        Path(spec["folder"]),
        cores=1,
        java_options="-Xms512m -XX:+AlwaysPreTouch",
        settings=settings,
    )
    gateway = spark.sparkContext._gateway
    pid = gateway.jvm.java.lang.ProcessHandle.current().pid()
    arguments = gateway.jvm.java.lang.management.ManagementFactory.getRuntimeMXBean()
    assert "-Xmx512m" in list(arguments.getInputArguments())
    before = peak_mb(pid)
    streams.read(spark, spec["options"]).write.format("noop").mode("overwrite").save()
    result = {"before_mb": before, "peak_mb": peak_mb(pid)}
    Path(spec["result"]).write_text(json.dumps(result))
    spark.stop()


def peak_mb(pid: int) -> float:
    """Peak resident memory of a process so far, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()

    return int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[1]) / 1024


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
