"""Rows as plain values, the same on every Spark version."""

import json

_FORMATS = {
    "ignoreNullFields": "false",
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
}


def values(frame, order_by: str | None = None) -> list[dict]:
    """All rows, null fields included, timestamps as ISO text in the session's zone."""
    from pyspark.sql import functions as f

    whole = f.to_json(f.struct(*[f.col(f"`{name}`") for name in frame.columns]), _FORMATS)
    rows = [json.loads(row.text) for row in frame.select(whole.alias("text")).collect()]

    return sorted(rows, key=lambda row: row[order_by]) if order_by else rows
