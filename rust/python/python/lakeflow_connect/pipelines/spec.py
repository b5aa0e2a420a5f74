"""Pipeline specifications: what to ingest, checked as a whole before anything is created.

The form is that of `pipeline_spec.schema.json` beside this file, which is published for editors and
other tools; what a schema cannot say is checked here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from importlib import resources

from jsonschema import Draft202012Validator

from ..errors import ConfigInvalidError

#: Options that the pipeline itself gives to every read.
_FRAMEWORK_OPTIONS = (
    "connection",
    "databricks.connection",
    "isDeleteFlow",
    "operation",
    "progressFile",
    "readChangeFeed",
    "sourceName",
    "tableConfigs",
    "tableName",
    "tableNameList",
)

_SECRET = re.compile("secret|password|token|api_?key|private_?key|credential", re.IGNORECASE)


class SpecError(ConfigInvalidError):
    """A specification that cannot be carried out.

    Attributes:
        problems: every problem found, each with its place in the specification.
    """

    def __init__(self, problems: Iterable[Problem]):
        self.problems = tuple(problems)
        lines = "".join(f"\n- {problem}" for problem in self.problems)
        super().__init__("CONFIG_INVALID", f"the pipeline specification has problems:{lines}")

    def __reduce__(self) -> tuple:
        return type(self), (self.problems,)


@dataclass(frozen=True)
class Problem:
    """What is wrong, and where.

    Attributes:
        path: place in the specification, such as `objects[0].table.source_table`.
        message: what is wrong and what would be right.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ScdType(Enum):
    """How changes of a row show in the table."""

    #: The latest version of each row.
    SCD_TYPE_1 = "SCD_TYPE_1"
    #: Every version, with the time it held.
    SCD_TYPE_2 = "SCD_TYPE_2"
    #: Every change as a row of its own.
    APPEND_ONLY = "APPEND_ONLY"


@dataclass(frozen=True)
class TableSpec:
    """One table of a specification, as its author wrote it; `None` and `()` mean not given.

    Attributes:
        path: place in the specification.
        source: table of the source.
        destination: catalog, schema and table to write, as many as were given.
        scd: how changes show.
        keys: columns that identify a row.
        sequence: columns that order the versions of a row.
        clustering: columns by which the table is clustered.
        included: the only columns to write.
        excluded: columns not to write.
        options: options of the source's table, by name.
    """

    path: str
    source: str
    destination: tuple[str, ...]
    scd: ScdType | None = None
    keys: tuple[str, ...] = ()
    sequence: tuple[str, ...] = ()
    clustering: tuple[str, ...] = ()
    included: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def secret_options(self) -> list[str]:
        """Names of options that look like credentials, which belong into a connection."""
        return [name for name in self.options if _SECRET.search(name)]


@dataclass(frozen=True)
class PipelineSpec:
    """A specification without problems of its own.

    Attributes:
        connection: name of the connection.
        tables: at least one.
    """

    connection: str
    tables: tuple[TableSpec, ...]


def parse(spec: object) -> PipelineSpec:
    """Reads a specification.

    Args:
        spec: what `json.load` gives for the published form.

    Raises:
        SpecError: it has problems; all of them are named at once.
    """
    parsed, problems = parse_what_can_be(spec)
    if parsed is None or problems:
        raise SpecError(problems)

    return parsed


def parse_what_can_be(spec: object) -> tuple[PipelineSpec | None, list[Problem]]:
    """The tables of a specification that have no problems, if its form lets them be found, and the
    problems of all others."""
    problems, bad = [], set()
    for place, problem in _form_problems(spec):
        problems.append(problem)
        bad.add(place)
    if any(place is None for place in bad):
        return None, problems
    tables = []
    for number, entry in enumerate(spec["objects"]):
        if number in bad:
            continue
        table, found = _table(f"objects[{number}].table", entry["table"])
        problems += found
        if not found:
            tables.append(table)
    problems += _repeated_destinations(tables)

    return PipelineSpec(spec["connection_name"].strip(), tuple(tables)), problems


@cache
def _validator() -> Draft202012Validator:
    text = resources.files(__package__).joinpath("pipeline_spec.schema.json").read_text("utf-8")

    return Draft202012Validator(json.loads(text))


def _form_problems(spec: object) -> Iterable[tuple[int | None, Problem]]:
    """Problems that the schema finds, each with the number of its table if it has one."""
    errors = sorted(_validator().iter_errors(spec), key=lambda error: list(map(str, error.path)))
    for error in errors:
        path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.absolute_path)
        place = [*error.absolute_path, None, None]
        number = place[1] if place[0] == "objects" and isinstance(place[1], int) else None
        yield number, Problem(path.lstrip("."), _message(error))


def _message(error) -> str:
    """The validator's words, but for patterns, and for values, which may be secrets."""
    if error.validator == "type":
        kinds = error.validator_value
        expected = " or ".join([kinds] if isinstance(kinds, str) else kinds)
        return f"must be {expected}, got {type(error.instance).__name__}"
    name = error.absolute_path[-1] if error.absolute_path else ""
    if error.validator == "pattern" and name == "scd_type":
        kinds = ", ".join(kind.value for kind in ScdType)
        return f"must be one of {kinds}, got {error.instance!r}"
    if error.validator == "pattern":
        return "must not be blank"
    if error.validator == "minItems":
        return "must have at least one entry"

    return error.message


def _table(path: str, table: Mapping) -> tuple[TableSpec, list[Problem]]:
    configuration = table.get("table_configuration") or {}
    problems = []

    def names(key: str) -> tuple[str, ...]:
        try:
            return parse_names(configuration.get(key))
        except ValueError as error:
            problems.append(Problem(f"{path}.table_configuration.{key}", str(error)))
            return ()

    included, excluded = names("include_columns"), names("exclude_columns")
    if included and excluded:
        problems.append(
            Problem(
                f"{path}.table_configuration",
                "include_columns and exclude_columns cannot be given together",
            )
        )
    parts = [table.get("destination_catalog"), table.get("destination_schema")]
    catalog, schema = ((part or "").strip() for part in parts)
    if catalog and not schema:
        problems.append(
            Problem(f"{path}.destination_schema", "is needed beside destination_catalog")
        )
    source = table["source_table"].strip()
    name = (table.get("destination_table") or "").strip() or source
    scd = configuration.get("scd_type")
    options = {
        key: _option_text(value)
        for key, value in configuration.items()
        if key not in _PIPELINE_KEYS and value is not None
    }
    for key in configuration:
        if key.lower() in {option.lower() for option in _FRAMEWORK_OPTIONS}:
            message = "is set by the pipeline itself; leave it out"
            problems.append(Problem(f"{path}.table_configuration.{key}", message))
        elif key not in _PIPELINE_KEYS and key.lower() in _PIPELINE_KEYS:
            message = f"is written {key.lower()}"
            problems.append(Problem(f"{path}.table_configuration.{key}", message))
    spec = TableSpec(
        path=path,
        source=source,
        destination=tuple(part for part in (catalog, schema, name) if part),
        scd=ScdType(scd.strip().upper()) if scd is not None else None,
        keys=names("primary_keys"),
        sequence=names("sequence_by"),
        clustering=names("cluster_by"),
        included=included,
        excluded=excluded,
        options=options,
    )

    return spec, problems


#: Keys of `table_configuration` that are no options of the source.
_PIPELINE_KEYS = frozenset(
    (
        "scd_type",
        "primary_keys",
        "sequence_by",
        "cluster_by",
        "include_columns",
        "exclude_columns",
    )
)


def parse_names(value: object) -> tuple[str, ...]:
    """Names from a list, a JSON list as text, or text with commas; nothing given is no names.

    Raises:
        ValueError: text that begins as a JSON list and is none, a blank name, or one given twice.
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError(f"must be a JSON list or names with commas, got {value!r}") from None
        if not all(isinstance(name, str) for name in value):
            raise ValueError("must be a list of strings")
    elif isinstance(value, str):
        value = value.split(",") if value.strip() else []
    names = tuple(name.strip() for name in value or ())
    if not all(names):
        raise ValueError("must not have a blank name")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"names {', '.join(repeated)} twice")

    return names


def _option_text(value: object) -> str:
    """An option as every reader spells it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value

    return json.dumps(value)


def _repeated_destinations(tables: Iterable[TableSpec]) -> Iterable[Problem]:
    first: dict[tuple[str, ...], str] = {}
    for table in tables:
        name = tuple(part.lower() for part in table.destination)
        if name in first:
            shown = ".".join(table.destination)
            yield Problem(table.path, f"writes to {shown}, as {first[name]} does")
        first.setdefault(name, table.path)
