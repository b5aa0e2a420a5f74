"""Reads SaaS APIs into Apache Spark, and into whatever else takes Arrow.

- Without Spark: `open("github", token=…).read("issues", owner=…, repo=…)`.
- Spark with the jar: `configure(SparkSession.builder)`, or `jar()`.
- Spark without the jar, PySpark 4.0 and later: `register(spark, "github")`; the format registers
  itself too.
- Tables by a specification: `ingest(spark, spec)`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .classic import configure, jar
from .errors import LakeflowError

if TYPE_CHECKING:
    from .pipelines.ingest import IngestError, ingest
    from .pipelines.spec import SpecError
    from .sources import Source, Table, open
    from .spark import LakeflowSource, register

__all__ = [
    "IngestError",
    "LakeflowError",
    "LakeflowSource",
    "Source",
    "SpecError",
    "Table",
    "configure",
    "ingest",
    "jar",
    "open",
    "register",
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

    return getattr(importlib.import_module(f".{_LATER[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
