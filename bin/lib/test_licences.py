import pytest
from licences import approved, shipped_packages


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("MIT/Apache-2.0", True),
        ("Apache-2.0 / MIT", True),
        ("Apache-2.0 AND GPL-2.0-only", False),
        ("Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT", True),
        ("Apache-2.0 WITH Classpath-exception-2.0", False),
        ("(MIT OR GPL-2.0-only) AND Unicode-3.0", True),
        ("(GPL-2.0-only AND MIT) OR (ISC AND (MIT OR MPL-2.0))", True),
        ("(GPL-2.0-only AND MIT) OR (ISC AND MPL-2.0)", False),
        ("", False),
    ],
)
def test_an_expression_is_approved_when_one_choice_is_approved_in_all_parts(expression, expected):
    assert approved(expression) is expected


def _package(name, source, kind="lib"):
    return {
        "id": name,
        "name": name,
        "version": "1.0.0",
        "source": source,
        "targets": [{"kind": [kind]}],
    }


def _edge(name, kind=None):
    return {"pkg": name, "dep_kinds": [{"kind": kind}]}


def test_only_what_is_linked_into_the_library_is_listed():
    registry = "registry"
    packages = [
        _package("lakeflow-jni", None, "cdylib"),
        _package("lakeflow-core", None),
        _package("linked", registry),
        _package("linked-below", registry),
        _package("macro", registry, "proc-macro"),
        _package("below-macro", registry),
        _package("for-build-scripts", registry),
        _package("for-tests", registry),
        _package("of-another-member", registry),
    ]
    edges = {
        "lakeflow-jni": [_edge("lakeflow-core"), _edge("for-tests", "dev")],
        "lakeflow-core": [_edge("linked"), _edge("macro"), _edge("for-build-scripts", "build")],
        "linked": [_edge("linked-below")],
        "linked-below": [_edge("linked")],
        "macro": [_edge("below-macro")],
    }
    nodes = [{"id": p["id"], "deps": edges.get(p["id"], [])} for p in packages]

    found = shipped_packages({"packages": packages, "resolve": {"nodes": nodes}})

    assert [package["name"] for package in found] == ["linked", "linked-below"]
