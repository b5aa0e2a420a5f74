"""Rows as plain values, the same on every Spark version."""

import json

_FORMATS = {
    "ignoreNullFields": "false",
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
}


def texts(frame) -> list[str]:
    """All rows as JSON text, null fields included, timestamps in the session's zone."""
    from pyspark.sql import functions as f

    whole = f.to_json(f.struct(*[f.col(f"`{name}`") for name in frame.columns]), _FORMATS)

    return [row.text for row in frame.select(whole.alias("text")).collect()]


def values(frame, order_by: str | None = None) -> list[dict]:
    """All rows, decoded; sorted by a column if one is given."""
    rows = [json.loads(text) for text in texts(frame)]

    return sorted(rows, key=lambda row: row[order_by]) if order_by else rows
