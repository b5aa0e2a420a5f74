"""Spark sessions as the tests want them: small, quiet, in a zone that is not the host's."""

import os
import time
from pathlib import Path

#: Zone of the host process and of the session: they differ, and neither is UTC.
HOST_ZONE = "America/New_York"
SESSION_ZONE = "Asia/Tokyo"


def use_host_zone():
    """Puts this process, and the JVM that it starts, into the host's zone."""
    os.environ["TZ"] = HOST_ZONE
    time.tzset()


def start(
    name: str,
    jars: list[Path],
    folder: Path,
    *,
    delta: bool = False,
    cores: int = 2,
    zone: str = SESSION_ZONE,
    java_options: str = "",
    settings: dict | None = None,
    builder=None,
):
    """Starts the one Spark session of this process.

    Args:
        name: name of the application.
        jars: what `--jars` would take.
        folder: where Spark may leave its warehouse and temporary files.
        delta: whether tables in Delta are read and written.
        cores: threads for tasks.
        zone: `spark.sql.session.timeZone`.
        java_options: more options for the JVM.
        settings: more Spark settings; they win.
        builder: one that has settings already, jars among them.
    """
    from pyspark.sql import SparkSession

    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    values = {
        "spark.app.name": name,
        "spark.master": f"local[{cores}]",
        "spark.jars": ",".join(str(jar) for jar in jars),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": f"-XX:+UseSerialGC {java_options}".strip(),
        "spark.local.dir": str(folder / "spark-local"),
        "spark.sql.session.timeZone": zone,
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.streaming.numRecentProgressUpdates": "100000",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    if delta:
        values |= {
            "spark.databricks.delta.snapshotPartitions": "1",
            "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
            "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        }
    if builder is None:
        builder = SparkSession.builder
    else:
        del values["spark.jars"]
    for key, value in (values | (settings or {})).items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")

    return session
