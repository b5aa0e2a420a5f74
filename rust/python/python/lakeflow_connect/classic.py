"""Spark with the jar: what a session needs to have the format `lakeflow_connect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .errors import unsupported

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: What Spark hides of options that it shows, besides what it hides anyway.
REDACTED = (
    r"(?i)secret|password|passphrase|token|credential|access[._]?key|api[._]?key|private[._]?key"
)


def jar() -> str:
    """The path of the jar, for `spark.jars` and `--jars`.

    Raises:
        UnsupportedError: this installation has none.
    """
    found = sorted((Path(__file__).parent / "jars").glob("lakeflow-connect-*.jar"))
    if not found:
        raise unsupported(
            "this installation of lakeflow-connect has no jar: install the wheel of bin/build"
        )

    return str(found[-1])


def configure(builder: SparkSession.Builder) -> SparkSession.Builder:
    """Adds the jar to a session that is about to start, and names of secrets to what Spark hides.

    Args:
        builder: `SparkSession.builder`, with whatever jars it has already.

    Returns:
        The builder.

    Raises:
        UnsupportedError: this installation has no jar.
    """
    jars = [part for part in builder._options.get("spark.jars", "").split(",") if part]
    ours = jar()
    builder = builder.config("spark.jars", ",".join([*(j for j in jars if j != ours), ours]))
    if "spark.redaction.regex" not in builder._options:
        builder = builder.config("spark.redaction.regex", REDACTED)

    return builder
