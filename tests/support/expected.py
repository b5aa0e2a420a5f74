"""What a careful reader makes of a JSON record, written apart from the library's own rules.

Covers the types that the two sources declare; anything else is an error here, not a guess.
"""

import json
from datetime import datetime
from zoneinfo import ZoneInfo

from support import corpus
from support.session import SESSION_ZONE


def project(record: dict, schema, zone: str = SESSION_ZONE, **columns) -> dict:
    """The row of `record` under a Spark schema, as `support.rows.values` shows it.

    Args:
        record: JSON object as the service has it.
        schema: Spark's `StructType`.
        zone: time zone of the session.
        columns: columns that the connector adds.
    """
    whole = record | columns

    return {f.name: _value(whole.get(f.name), f.dataType, zone) for f in schema.fields}


def _value(value, kind, zone: str):
    if value is None:
        return None
    name = kind.typeName()
    if name == "struct":
        return {f.name: _value(value.get(f.name), f.dataType, zone) for f in kind.fields}
    if name == "array":
        return [_value(item, kind.elementType, zone) for item in value]
    if name == "map":
        return {key: _value(item, kind.valueType, zone) for key, item in value.items()}
    if name == "string":
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    if name == "long":
        assert type(value) is int, value
        return value
    if name == "double":
        return float(value)
    if name == "boolean":
        assert type(value) is bool, value
        return value
    if name == "timestamp":
        return _local(corpus.parse(value), zone)

    raise AssertionError(f"no rule for {name}")


def _local(moment: datetime, zone: str) -> str:
    return moment.astimezone(ZoneInfo(zone)).isoformat(timespec="microseconds")
