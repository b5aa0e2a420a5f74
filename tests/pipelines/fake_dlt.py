"""Stands in for Databricks' module `dlt`: takes what its published signatures take, nothing else.

Source: Databricks' Python reference of declarative pipelines, pages `view`, `append_flow`,
`create_streaming_table`, `create_auto_cdc_flow` (once `apply_changes`) and
`create_auto_cdc_from_snapshot_flow`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pyspark.sql import Column

_NAME = re.compile(r"(`([^`]|``)+`|\w+)(\.(`([^`]|``)+`|\w+)){0,2}")


@dataclass
class FakeDlt:
    """Keeps what was declared, by name."""

    views: dict = field(default_factory=dict)
    tables: dict = field(default_factory=dict)
    flows: dict = field(default_factory=dict)

    def view(self, *, name: str, comment: str | None = None, spark_conf: dict | None = None):
        assert re.fullmatch(r"\w+", name, re.ASCII), f"a view cannot be called {name!r}"
        assert comment is None or isinstance(comment, str)

        return lambda function: self._define(self.views, name, _query(function))

    def create_streaming_table(
        self,
        name: str,
        comment: str | None = None,
        spark_conf: dict | None = None,
        table_properties: dict | None = None,
        path: str | None = None,
        partition_cols: list | None = None,
        cluster_by: list | None = None,
        schema: object = None,
        expect_all: dict | None = None,
        expect_all_or_drop: dict | None = None,
        expect_all_or_fail: dict | None = None,
        row_filter: str | None = None,
    ):
        assert _NAME.fullmatch(name), f"a table cannot be called {name!r}"
        assert cluster_by is None or (cluster_by and _are_names(cluster_by))
        self._define(self.tables, name, {"cluster_by": cluster_by})

    def append_flow(
        self,
        *,
        target: str,
        name: str | None = None,
        once: bool = False,
        spark_conf: dict | None = None,
        comment: str | None = None,
    ):
        self._known_table(target)
        assert isinstance(once, bool)

        def define(function):
            flow = {"kind": "append", "target": target, "query": _query(function)}
            self._define(self.flows, name or function.__name__, flow)

        return define

    def create_auto_cdc_flow(
        self,
        target: str,
        source: str,
        keys: list,
        sequence_by: object,
        ignore_null_updates: bool = False,
        apply_as_deletes: object = None,
        apply_as_truncates: object = None,
        column_list: list | None = None,
        except_column_list: list | None = None,
        stored_as_scd_type: object = 1,
        track_history_column_list: list | None = None,
        track_history_except_column_list: list | None = None,
        name: str | None = None,
        once: bool = False,
    ):
        self._known_table(target)
        self._known_view(source)
        assert keys and _are_names(keys)
        assert isinstance(sequence_by, (str, Column)) and not _is_blank(sequence_by)
        assert isinstance(apply_as_deletes, (str, Column, type(None)))
        assert not _is_blank(apply_as_deletes)
        assert except_column_list is None or _are_names(except_column_list)
        assert isinstance(once, bool)
        assert stored_as_scd_type in (1, 2, "1", "2")
        flow = {
            "kind": "changes",
            "target": target,
            "source": source,
            "keys": keys,
            "sequence_by": sequence_by,
            "scd": int(stored_as_scd_type),
            "apply_as_deletes": apply_as_deletes,
            "except_column_list": except_column_list,
        }
        self._define(self.flows, name or target, flow)

    def create_auto_cdc_from_snapshot_flow(
        self,
        target: str,
        source: object,
        keys: list,
        stored_as_scd_type: object = 1,
        track_history_column_list: list | None = None,
        track_history_except_column_list: list | None = None,
    ):
        self._known_table(target)
        self._known_view(source)
        assert keys and _are_names(keys)
        assert stored_as_scd_type in (1, 2, "1", "2")
        flow = {
            "kind": "snapshot",
            "target": target,
            "source": source,
            "keys": keys,
            "scd": int(stored_as_scd_type),
        }
        self._define(self.flows, target, flow)

    def _known_table(self, name: str):
        assert name in self.tables, f"table {name!r} was not declared"

    def _known_view(self, name: str):
        assert name in self.views, f"view {name!r} was not declared"

    @staticmethod
    def _define(place: dict, name: str, value):
        assert name not in place, f"{name!r} was declared before"
        place[name] = value


def _query(function):
    assert callable(function) and function.__code__.co_argcount == 0

    return function


def _is_blank(value) -> bool:
    return isinstance(value, str) and not value.strip()


def _are_names(names) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) and name for name in names)
