"""The way in: a specification, carried out by the engine that the code runs in."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import LakeflowError, config_invalid, within
from .declarative import DatabricksBackend, SparkPipelinesBackend
from .delta import DeltaBackend, Written
from .plan import plan
from .spec import SpecError, parse_what_can_be

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from ..sources import Table

_FORMAT = "lakeflow_connect"


class IngestError(RuntimeError):
    """Tables that could not be brought up to date; the others were.

    Attributes:
        results: what was done with every table.
    """

    def __init__(self, results: list[Written]):
        self.results = results
        failed = [result for result in results if result.error is not None]
        lines = "".join(f"\n- {result.table}: {_line(result.error)}" for result in failed)
        super().__init__(f"{len(failed)} of {len(results)} tables were not written:{lines}")


class ThroughSpark:
    """Asks a source by reads of Spark.

    Args:
        spark: the session.
    """

    def __init__(self, spark: SparkSession):
        self._spark = spark

    def rows(self, options: Mapping[str, str]) -> list[dict]:
        """The rows of a table.

        Raises:
            LakeflowError: what the source meets.
        """
        with _in_words():
            return [row.asDict() for row in self._load(options).collect()]

    def columns(self, options: Mapping[str, str]) -> list[str]:
        """The names of a table's columns.

        Raises:
            LakeflowError: what the source's own discovery meets.
        """
        with _in_words():
            return self._load(options).columns

    def _load(self, options: Mapping[str, str]) -> DataFrame:
        return self._spark.read.format(_FORMAT).options(**options).load()


@contextmanager
def _in_words() -> Iterator[None]:
    """Raises what Spark wraps in pages of its own frames."""
    try:
        yield
    except Exception as error:
        found = within(error)
        if found is None:
            raise
        raise found from None


class _Native:
    """Asks a source without Spark."""

    def rows(self, options: Mapping[str, str]) -> list[dict]:
        return self._table(options).to_arrow().to_pylist()

    def columns(self, options: Mapping[str, str]) -> list[str]:
        return self._table(options).columns()

    @staticmethod
    def _table(options: Mapping[str, str]) -> Table:
        from ..sources import Table

        return Table(dict(options), options["tableName"])


def ingest(
    spark: SparkSession,
    pipeline_spec: Mapping,
    *,
    checkpoints: str | None = None,
    source: str | None = None,
    skip_failing: bool = False,
) -> list[Written]:
    """Brings the tables of a specification up to date, or declares them to the pipeline around.

    With `checkpoints`, tables are read and written to Delta Lake at once. Without, they are
    declared to the Databricks or Apache Spark pipeline that this is called in, which runs them.

    Args:
        spark: the session.
        pipeline_spec: the specification, in the form of `pipeline_spec.schema.json`.
        checkpoints: folder for what tables must remember between runs, a different one for each
            specification.
        source: the source, where the connection does not say it.
        skip_failing: leave out tables with problems, with a warning, instead of refusing the
            specification; those of its form are refused all the same.

    Returns:
        What was done with each table; nothing for those that are declared.

    Raises:
        SpecError: the specification has problems; nothing was created.
        LakeflowError: the source cannot be asked; nothing was created.
        IngestError: tables failed while they were read or written; the others were finished.
        ConfigInvalidError: `checkpoints` is missing, and there is no pipeline around.
    """
    spec, problems = parse_what_can_be(pipeline_spec)
    if spec is None:
        raise SpecError(problems)
    options = {} if source is None else {"sourceName": source}

    engine = DeltaBackend(spark, checkpoints) if checkpoints else _pipeline(spark)
    # Apache Spark analyses and runs nothing while a pipeline is being declared.
    known = _Native() if isinstance(engine, SparkPipelinesBackend) else ThroughSpark(spark)
    try:
        tables = plan(spec, known, options, skip_failing=skip_failing)
    except SpecError as error:
        raise SpecError([*problems, *error.problems]) from None
    except LakeflowError:
        if not problems:
            raise
    if problems:
        raise SpecError(problems)
    if not isinstance(engine, DeltaBackend):
        engine.define(tables)
        return []
    results = engine.run(tables)
    if any(result.error is not None for result in results):
        raise IngestError(results)

    return results


def _pipeline(spark: SparkSession) -> DatabricksBackend | SparkPipelinesBackend:
    """The pipeline engine around."""
    dlt = _module("dlt")
    if dlt is not None and hasattr(dlt, "create_streaming_table"):
        return DatabricksBackend(spark, dlt)
    pipelines = _module("pyspark.pipelines")
    if pipelines is not None and _is_defining():
        return SparkPipelinesBackend(spark, pipelines)

    raise config_invalid(
        "argument 'checkpoints' is needed outside of a pipeline: name a folder, and tables are"
        " written to Delta Lake"
    )


def _is_defining() -> bool:
    """Whether the code is part of a pipeline of Apache Spark."""
    from pyspark.errors import PySparkRuntimeError

    try:
        from pyspark.pipelines.graph_element_registry import get_active_graph_element_registry

        get_active_graph_element_registry()
    except (ImportError, PySparkRuntimeError):
        return False

    return True


def _module(name: str):
    # Platforms have modules that refuse to be imported out of place, with errors of their own.
    try:
        return importlib.import_module(name)
    except Exception:
        return None


def _line(error: Exception) -> str:
    return str(within(error) or "") or (str(error).splitlines() or [type(error).__name__])[0]
