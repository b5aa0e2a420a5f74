import pytest
from option_tables import groups, render, undocumented

CAP = {
    "name": "cap",
    "aliases": ["limit"],
    "values": "integer, 1 or more",
    "role": "tuning",
    "destination": False,
    "default": "10",
    "required": False,
    "tables": [],
    "doc": "Most records.",
}
REPO = CAP | {
    "name": "repo",
    "aliases": [],
    "values": "text",
    "role": "identity",
    "default": None,
    "required": True,
    "tables": ["issues"],
    "doc": "A repository.",
}
TOKEN = CAP | {"name": "token", "aliases": [], "role": "secret", "default": None, "doc": "A token."}
DECLARED = {
    "framework": [CAP],
    "virtual": [],
    "sources": {
        "one": {"connection": [TOKEN], "kit": [CAP], "table": [REPO]},
        "two": {"connection": [TOKEN], "kit": [CAP], "table": []},
    },
}


def test_a_table_is_written_between_its_marks():
    page = "before\n<!-- options: one table -->\nstale\n<!-- end of options -->\nafter\n"

    assert render(page, groups(DECLARED)) == (
        "before\n<!-- options: one table -->\n"
        "| option | value | default | meaning |\n|---|---|---|---|\n"
        "| `repo` | text | required | A repository. *Identity.* Tables: `issues`. |\n"
        "<!-- end of options -->\nafter\n"
    )


@pytest.mark.parametrize(
    ("group", "row"),
    [
        ("framework", "| `cap` | integer, 1 or more | `10` | Most records. Also: `limit`. |"),
        ("two connection", "| `token` | integer, 1 or more |  | A token. *Secret.* |"),
    ],
)
def test_defaults_aliases_and_secrets_are_shown(group, row):
    page = f"<!-- options: {group} -->\n<!-- end of options -->"

    assert render(page, groups(DECLARED)).splitlines()[3] == row


def test_a_table_of_unknown_options_is_an_error():
    page = "<!-- options: three table -->\n<!-- end of options -->"

    with pytest.raises(KeyError, match="three table"):
        render(page, groups(DECLARED))


@pytest.mark.parametrize(
    ("used", "missing"),
    [
        (
            set(),
            ["framework", "one connection", "one kit", "one table", "two connection"] + ["two kit"],
        ),
        ({"framework", "one connection", "one table"}, []),
        ({"framework", "one table"}, ["one connection", "two connection"]),
    ],
)
def test_every_group_with_options_is_on_some_page(used, missing):
    named = groups(DECLARED)

    assert undocumented(named, used) == missing
