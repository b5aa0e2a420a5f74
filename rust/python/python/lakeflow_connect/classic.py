"""Spark with the jar: what a session needs to have the format `lakeflow_connect`."""

from __future__ import annotations

import os
import re
import shlex
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import unsupported

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: What Spark hides of options that it shows, besides what it hides anyway.
REDACTED = (
    r"(?i)secret|password|passphrase|token|credential|access[._]?key|api[._]?key|private[._]?key"
)

#: The class by which the jar serves.
_PROVIDER = "lakeflow.connect.spark.LakeflowTableProvider"


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

    Jars of the builder or of `spark-defaults.conf` stay, and so does a `spark.redaction.regex`.
    Where the jar can be given no more, because Spark's JVM runs already or `PYSPARK_SUBMIT_ARGS`
    has jars, a warning says what to do.

    Args:
        builder: `SparkSession.builder`, with whatever settings it has already.

    Returns:
        The builder.

    Raises:
        UnsupportedError: this installation has no jar.
    """
    ours, submitted = jar(), _submitted()
    _warn_if_late(ours)
    if ours not in submitted.get("spark.jars", ours).split(","):
        warnings.warn(f"the jars of PYSPARK_SUBMIT_ARGS win: add {ours} to them", stacklevel=2)
    known = _defaults() | submitted | builder._options
    jars = [part.strip() for part in known.get("spark.jars", "").split(",") if part.strip()]
    builder = builder.config("spark.jars", ",".join([*(j for j in jars if j != ours), ours]))
    if "spark.redaction.regex" not in known:
        builder = builder.config("spark.redaction.regex", REDACTED)

    return builder


def has_format(spark: SparkSession) -> bool:
    """Whether the jar serves in the JVM of a session; a client of Spark Connect cannot know."""
    return _is_loadable(getattr(spark, "_jvm", None))


def _is_loadable(jvm: Any) -> bool:
    return jvm is not None and bool(jvm.org.apache.spark.util.Utils.classIsLoadable(_PROVIDER))


def _warn_if_late(ours: str) -> None:
    from pyspark import SparkContext

    if SparkContext._gateway is None and "PYSPARK_GATEWAY_PORT" not in os.environ:
        return
    SparkContext._ensure_initialized()
    if not _is_loadable(SparkContext._jvm):
        warnings.warn(
            "Spark's JVM runs already and takes no jars any more: call configure in a new process,"
            f" before anything starts it, or start that by spark-submit --jars {ours}; without the"
            " jar, lakeflow_connect.register(spark) serves from PySpark 4.0 on",
            stacklevel=3,
        )


def _submitted() -> dict[str, str]:
    """Settings that PySpark starts its JVM with."""
    given = os.environ.get("PYSPARK_SUBMIT_ARGS", "")
    words = shlex.split(re.sub(r"(--\w+)=", r"\1 ", given))
    settings = {}
    for word, value in zip(words, words[1:]):
        if word in ("--conf", "-c") and "=" in value:
            name, _, text = value.partition("=")
            settings[name] = text
        elif word == "--jars":
            settings["spark.jars"] = value

    return settings


def _defaults() -> dict[str, str]:
    """Settings of `spark-defaults.conf`, which a builder would replace."""
    from pyspark.find_spark_home import _find_spark_home

    folder = os.environ.get("SPARK_CONF_DIR") or os.path.join(_find_spark_home(), "conf")
    try:
        lines = (Path(folder) / "spark-defaults.conf").read_text("utf-8").splitlines()
    except OSError:
        return {}
    found = (re.match(r"\s*([^\s#!=:][^\s=:]*)(?:\s*[=:]\s*|\s+)(.*?)\s*$", line) for line in lines)

    return {match[1]: match[2] for match in found if match}
