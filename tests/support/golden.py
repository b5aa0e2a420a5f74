"""Golden values: records for the simulator, and the rows that readers must make of them."""

import json
from pathlib import Path

_FOLDER = Path(__file__).parent.parent / "golden"

#: Tables of the example source that have golden values.
EXAMPLE_TABLES = ("products", "events", "users", "orders", "metrics")


def golden(name: str) -> dict:
    """The values of a table, such as `github_issues`: `records`, `rows` and what it has besides."""
    return json.loads((_FOLDER / f"{name}.json").read_text())


def fill(simulator):
    """Gives a simulator the records of all tables, and deletes those that are deleted."""
    fill_orders(simulator)
    simulator.set_records("github", "issues", golden("github_issues")["records"])
    for table in EXAMPLE_TABLES:
        if table != "orders":
            simulator.set_records("example", table, golden(f"example_{table}")["records"])


def fill_orders(simulator):
    """Gives a simulator the orders, and deletes those that are deleted, at a fixed instant."""
    orders = golden("example_orders")
    simulator.freeze(orders["deleted_at"])
    simulator.set_records("example", "orders", orders["records"])
    authorization = {"Authorization": "Basic dXNlcjpwYXNz"}
    for key in orders["deletes"]:
        path = f"/example/tables/orders/records/{key}"
        simulator.call("DELETE", path, None, authorization)


def golden_rows(name: str) -> list[dict]:
    """Rows of a table by key, but for those that are deleted."""
    table = golden(name)
    deleted = table.get("deletes", [])
    key = next(iter(table["rows"][0]))

    return sorted((row for row in table["rows"] if row[key] not in deleted), key=lambda r: r[key])
