"""A source whose tables lie in namespaces: virtual tables, operations and SQL."""

import pytest

_OK = {"status": "ok", "code": None, "message": None}


def test_virtual_tables_walk_the_tree(seen):
    shown = seen["namespaces"]

    assert shown["roots"] == [[["acme"]]]
    assert shown["children"] == [[["acme", "billing"]], [["acme", "support"]]]
    assert shown["root_tables"] == [[[], "root"]]
    assert shown["tables"] == [
        [["acme", "billing"], "invoices"],
        [["acme", "billing"], "taxes"],
    ]
    assert shown["no_tables"] == []


def test_operations_know_paths_and_those_of_the_source(seen):
    shown = seen["namespaces"]

    assert shown["objects"] == [
        ["billing", "namespace", "acme.billing", _OK],
        ["support", "namespace", "acme.support", _OK],
        ["plans", "table", "acme.plans", _OK],
    ]
    assert shown["height"] == [["levels", 3, _OK]]


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        ("SHOW NAMESPACES IN tree", [["acme"]]),
        ("SHOW NAMESPACES IN tree.acme", [["acme.billing"], ["acme.support"]]),
        ("SHOW NAMESPACES IN tree.acme.billing", []),
        ("SHOW TABLES IN tree", [["", "root", False]]),
        ("SHOW TABLES IN tree.acme", [["acme", "plans", False]]),
        (
            "SHOW TABLES IN tree.acme.billing",
            [["acme.billing", "invoices", False], ["acme.billing", "taxes", False]],
        ),
        ("SELECT count(*), max(n) FROM tree.acme.billing.invoices", [[2500, 2500]]),
        ("SELECT count(*) FROM tree.root", [[2500]]),
    ],
)
def test_a_catalog_shows_the_namespaces_of_the_source(seen, statement, rows):
    assert seen["namespaces"]["sql"][statement] == rows


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("SHOW NAMESPACES IN tree.nowhere", "SCHEMA_NOT_FOUND"),
        ("SHOW TABLES IN tree.default", "SCHEMA_NOT_FOUND"),
        ("SELECT count(*) FROM tree.default.root", "TABLE_OR_VIEW_NOT_FOUND"),
        ("SELECT count(*) FROM tree.acme.invoices", "TABLE_OR_VIEW_NOT_FOUND"),
    ],
)
def test_what_the_tree_does_not_have_is_not_found(seen, statement, error):
    (shown,) = seen["namespaces"]["sql"][statement]

    assert error in shown
