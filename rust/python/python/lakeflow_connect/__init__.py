"""Reads SaaS APIs into Apache Spark, and into whatever else takes Arrow.

- Without Spark: `open("github", token=…).read("issues", owner=…, repo=…)`.
- Spark with the jar: `configure(SparkSession.builder)`, or `jar()`.
- Spark without the jar, PySpark 4.0 and later: `register(spark, "github")`; the format registers
  itself too.
- Tables by a specification: `ingest(spark, spec)`.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from .classic import configure, jar
from .errors import LakeflowError

if TYPE_CHECKING:
    from .pipelines.ingest import IngestError, ingest
    from .pipelines.spec import SpecError
    from .sources import Source, Table
    from .sources import open as open
    from .spark import LakeflowSource as LakeflowSource
    from .spark import register as register

#: What `import *` gives: nothing that hides a builtin or needs PySpark.
__all__ = [
    "IngestError",
    "LakeflowError",
    "Source",
    "SpecError",
    "Table",
    "configure",
    "ingest",
    "jar",
]

#: What needs the native library or PySpark, loaded when it is asked for.
_LATER = {
    "IngestError": "pipelines.ingest",
    "LakeflowSource": "spark",
    "Source": "sources",
    "SpecError": "pipelines.spec",
    "Table": "sources",
    "ingest": "pipelines.ingest",
    "open": "sources",
    "register": "spark",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    if _LATER[name] == "spark" and not _has_data_sources():
        raise ImportError(
            f"lakeflow_connect.{name} needs PySpark 4.0 or later; before, use"
            " lakeflow_connect.configure with the jar"
        )

    return getattr(importlib.import_module(f".{_LATER[name]}", __name__), name)


def __dir__() -> list[str]:
    later = (n for n, module in _LATER.items() if module != "spark" or _has_data_sources())

    return sorted({*__all__, *later})


def _has_data_sources() -> bool:
    """Whether there is a PySpark that takes data sources in Python."""
    try:
        return importlib.util.find_spec("pyspark.sql.datasource") is not None
    except ImportError:
        return False
