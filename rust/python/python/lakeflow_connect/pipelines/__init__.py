"""Ingesting tables of a source by a specification."""

from .spec import PipelineSpec, Problem, ScdType, SpecError, TableSpec, parse

__all__ = ["PipelineSpec", "Problem", "ScdType", "SpecError", "TableSpec", "parse"]
