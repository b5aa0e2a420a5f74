"""The coercion table read back through Spark: the same values as in Rust.

`coercion/cases.json` shows values as Arrow displays them; what Spark returned, as JSON, is brought
into that form here. The session's zone is neither UTC nor the host's.
"""

import base64
import json
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from support import environment

_CASES = json.loads((Path(__file__).parent.parent / "coercion" / "cases.json").read_text())

#: By number: that of the specification, or 1001 and the place in the file.
_BY_NUMBER = {case.get("row", 1001 + place): case for place, case in enumerate(_CASES)}

#: A type that the suite's Spark does not have.
_LACKING = {"3_5": "variant"}.get(environment.spark_line())

#: The zone is an option of the read and not of a column, a refused type has no column.
_READ = {
    number: case
    for number, case in _BY_NUMBER.items()
    if "zone" not in case and "refused" not in case and case["type"] != _LACKING
}


def test_a_type_that_this_spark_lacks_is_refused_when_the_table_is_loaded(seen):
    refused = [
        name
        for name, table in seen["coercion"].items()
        if "has a type that this version of Spark lacks" in table.get("error", "")
    ]

    assert all("[UNSUPPORTED]" in seen["coercion"][name]["error"] for name in refused)
    assert refused == [name for name in seen["coercion"] if _LACKING and _LACKING in name]


def test_every_case_is_a_row_of_a_table(seen):
    numbers = [
        json.loads(row)["row"]
        for name, table in seen["coercion"].items()
        for row in (table if name.startswith("ok_") else table["with_null"]).get("rows", [])
    ]
    never_null = {n for n, case in _READ.items() if case.get("nullable") is False}

    assert sorted([*numbers, *never_null]) == sorted(_READ)


@pytest.mark.parametrize("number", [n for n, case in _READ.items() if "value" in case])
def test_a_value_is_the_same_in_spark(seen, number):
    case = _READ[number]
    kind, value = _found(seen, number)

    if kind == "variant":
        assert value == (case["value"] and json.loads(case["value"], parse_float=Decimal))
    elif str(case["type"]).startswith("char("):
        # Spark pads what it reads from a column of type char, whatever the source gave.
        assert value == case["value"].ljust(int(case["type"][5:-1]))
    else:
        assert _display(value, kind, top=True) == case["value"]


@pytest.mark.parametrize("number", [n for n, case in _READ.items() if "error" in case])
def test_a_bad_value_fails_the_read_or_is_null_and_rescued(seen, number):
    case = _READ[number]
    tables = {k: v for k, v in seen["coercion"].items() if k.startswith("error_")}
    path = case.get("column", "value")
    if case.get("nullable") is False:
        told = (case["error"], f"column: {path},")
        wanted = [t for t in tables.values() if all(text in t.get("error", "") for text in told)]
        assert wanted and all("error" in table["with_null"] for table in wanted)
        return
    found = [(t, r) for t in tables.values() for r in _rows(t["with_null"]) if r["row"] == number]

    assert len(found) == 1
    table, row = found[0]
    assert "DATA_INVALID" in table["error"] and "record: " in table["error"]
    rescued = json.loads(row["_rescued"], parse_float=Decimal)
    assert any(path.startswith(kept) for kept in rescued), (path, rescued)


def _rows(table: dict) -> list[dict]:
    return [json.loads(row, parse_float=Decimal) for row in table.get("rows", [])]


def _found(seen, number: int):
    """Type and value of a row of the `ok_` tables."""
    for name, table in seen["coercion"].items():
        if name.startswith("ok_") and not (_LACKING and _LACKING in name):
            assert "rows" in table, (name, table)
            for row in _rows(table):
                if row["row"] == number:
                    return table["schema"]["fields"][1]["type"], row["value"]
    raise AssertionError(f"no row {number}")


def _display(value, kind, *, top=False):
    """A value as Arrow displays it; null is `None` at the top and `null` inside."""
    if value is None:
        return None if top else "null"
    if isinstance(kind, dict):
        return _display_nested(value, kind)
    if kind in ("float", "double"):
        return _display_float(float(value))
    if kind.startswith("decimal"):
        return format(Decimal(value), "f")
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "binary":
        return base64.b64decode(value).hex()
    if kind == "timestamp":
        return _display_instant(datetime.fromisoformat(value).astimezone(timezone.utc)) + "Z"
    if kind == "timestamp_ntz":
        return _display_instant(datetime.fromisoformat(value))

    return str(value)


def _display_nested(value, kind: dict) -> str:
    if kind["type"] == "array":
        return "[" + ", ".join(_display(item, kind["elementType"]) for item in value) + "]"
    if kind["type"] == "map":
        items = [f"{key}: {_display(item, kind['valueType'])}" for key, item in value.items()]
    else:
        items = [f"{f['name']}: {_display(value[f['name']], f['type'])}" for f in kind["fields"]]

    return "{" + ", ".join(items) + "}"


def _display_float(value: float) -> str:
    return repr(value).replace("e+", "e").replace("nan", "NaN")


def _display_instant(moment: datetime) -> str:
    text = moment.replace(tzinfo=None).isoformat(timespec="microseconds")
    if text.endswith(".000000"):
        return text[:-7]

    return text[:-3] if text.endswith("000") else text
