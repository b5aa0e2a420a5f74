"""Back ends for engines to which a pipeline is declared: Databricks' `dlt`, and Apache Spark's own.

They define datasets and flows; when those run is the engine's business.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .merges import instant, path
from .plan import Ingestion, PlannedTable, quoted
from .spec import Problem, SpecError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_FORMAT = "lakeflow_connect"


class DatabricksBackend:
    """Declares tables to Databricks: every ingestion type, both SCD types.

    Args:
        spark: session of the pipeline.
        dlt: the module `dlt`.
    """

    def __init__(self, spark: SparkSession, dlt: Any):
        self._spark = spark
        self._dlt = dlt
        # The newer name; arguments are the same.
        self._change_flow = getattr(dlt, "create_auto_cdc_flow", None) or dlt.apply_changes
        self._snapshot_flow = (
            getattr(dlt, "create_auto_cdc_from_snapshot_flow", None)
            or dlt.apply_changes_from_snapshot
        )

    def define(self, tables: Sequence[PlannedTable]):
        """Declares views, tables and flows."""
        _warn_of_repeats(tables)
        for table in tables:
            clustering = {"cluster_by": list(table.clustering)} if table.clustering else {}
            self._dlt.create_streaming_table(name=_target(table), **clustering)
            ways = {
                Ingestion.APPEND: self._append,
                Ingestion.SNAPSHOT: self._snapshot,
                Ingestion.CDC: self._changes,
                Ingestion.CDC_WITH_DELETES: self._changes,
            }
            ways[table.ingestion](table)

    def _append(self, table: PlannedTable):
        flow = self._dlt.append_flow(target=_target(table), name=f"{table.view('append')}_flow")
        flow(_reader(self._spark, table, streaming=True))

    def _snapshot(self, table: PlannedTable):
        view = table.view("snapshot")
        self._dlt.view(name=view)(_reader(self._spark, table, streaming=False))
        self._snapshot_flow(
            target=_target(table),
            source=view,
            keys=list(table.keys),
            stored_as_scd_type=table.scd,
        )

    def _changes(self, table: PlannedTable):
        from pyspark.sql import functions as f

        view = table.view("upsert")
        self._dlt.view(name=view)(_reader(self._spark, table, streaming=True))
        self._flow(table, source=view)
        if table.ingestion is Ingestion.CDC_WITH_DELETES:
            view = table.view("delete")
            reader = _reader(self._spark, table, streaming=True, isDeleteFlow="true")
            self._dlt.view(name=view)(reader)
            deletes = {"name": f"{view}_flow", "apply_as_deletes": f.expr("true")}
            self._flow(table, source=view, **deletes)

    def _flow(self, table: PlannedTable, **more):
        from pyspark.sql import functions as f

        instants = _instants(table)
        # Names only: what else Databricks takes there, its reference does not say.
        names = [instants.get(name, name) for name in table.sequence]
        if instants:
            more["except_column_list"] = list(instants.values())
        self._change_flow(
            target=_target(table),
            keys=list(table.keys),
            sequence_by=names[0] if len(names) == 1 else f.struct(*names),
            stored_as_scd_type=table.scd,
            **more,
        )


class SparkPipelinesBackend:
    """Declares tables to Apache Spark's declarative pipelines: plain rows and snapshots.

    Args:
        spark: session of the pipeline.
        pipelines: the module `pyspark.pipelines`.
    """

    def __init__(self, spark: SparkSession, pipelines: Any):
        self._spark = spark
        self._pipelines = pipelines

    def define(self, tables: Sequence[PlannedTable]):
        """Declares tables and flows.

        Raises:
            SpecError: tables that this engine cannot keep; nothing was declared then.
        """
        refused = [
            Problem("", f"table '{table.source}' ({_needs(table)})")
            for table in tables
            if _needs(table)
        ]
        if refused:
            advice = (
                "these tables need merges, which are not written by Apache Spark's pipelines: run"
                " lakeflow_connect.ingest(spark, spec, checkpoints=...) outside of a pipeline,"
                " which writes them to Delta Lake"
            )
            raise SpecError([*refused, Problem("", advice)])
        _warn_of_repeats(tables)
        for table in tables:
            clustering = {"cluster_by": list(table.clustering)} if table.clustering else {}
            if table.ingestion is Ingestion.SNAPSHOT:
                view = self._pipelines.materialized_view(name=_target(table), **clustering)
                view(_reader(self._spark, table, streaming=False))
            else:
                self._pipelines.create_streaming_table(_target(table), **clustering)
                name = f"{table.view('append')}_flow"
                flow = self._pipelines.append_flow(target=_target(table), name=name)
                flow(_reader(self._spark, table, streaming=True))


def _needs(table: PlannedTable) -> str:
    """What a table needs besides rows that are added or replaced as a whole."""
    if table.ingestion is Ingestion.CDC_WITH_DELETES:
        return "changes and deletes by key"
    if table.ingestion is Ingestion.CDC:
        return "changes by key"

    return "history of snapshots" if table.scd == 2 else ""


def _warn_of_repeats(tables: Sequence[PlannedTable]):
    """Where slices lie nowhere, rows within the lookback come again with each update."""
    bare = [
        table.source
        for table in tables
        if table.ingestion is Ingestion.APPEND
        and "slicestore" not in (name.lower() for name in table.options)
    ]
    if bare:
        warnings.warn(
            f"tables {', '.join(bare)}: rows within the lookback are appended again with each"
            " update unless the jar serves or option sliceStore names a folder",
            stacklevel=3,
        )


def _instants(table: PlannedTable) -> dict[str, str]:
    """Columns of the order that are points in time, and what views call them as such."""
    return {name: f"__instant{number}" for number, name in enumerate(table.instants)}


def _target(table: PlannedTable) -> str:
    """The destination as engines take it: a plain name alone as it is."""
    *place, name = table.destination

    return name if not place and re.fullmatch(r"\w+", name, re.ASCII) else table.name


def _reader(
    spark: SparkSession, table: PlannedTable, *, streaming: bool, **options: str
) -> Callable[[], DataFrame]:
    """A function without parameters that reads the table."""

    def read() -> DataFrame:
        reader = spark.readStream if streaming else spark.read
        frame = reader.format(_FORMAT).options(**table.options, **options).load()
        instants = (f"{instant(path(name))} AS {own}" for name, own in _instants(table).items())

        return frame.selectExpr(*map(quoted, table.columns), *instants)

    return read
