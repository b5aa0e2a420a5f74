import pytest
from demands import names_in, problems

TESTS = {"one_result": {"rust/a.rs"}, "test_two": {"tests/b.py"}}


def page(*rows: str) -> str:
    return "# x\n\n## Demands\n\n| demand | state | by |\n|---|---|---|\n" + "".join(
        f"{row}\n" for row in rows
    )


def test_demands_with_tests_that_exist_are_accepted():
    rows = (
        "| a | met | `one_result`, `tests/b.py::test_two` |",
        '| b | refuted | the vendor\'s page, "Limits" |',
        "| c | deferred | until `another` exists |",
    )

    assert problems(page(*rows) + "\n## Tables\n\n| other | table |\n", TESTS) == []


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("| a | met | `gone` |", "'a': there is no test 'gone'"),
        (
            "| a | met | `tests/b.py::one_result` |",
            "'a': there is no test 'tests/b.py::one_result'",
        ),
        ("| a | met | it works |", "'a': no test is named"),
        (
            "| a | done | `test_two` |",
            "'a': the state is one of met, refuted, deferred, not 'done'",
        ),
        ("| a | met |", "a row without three cells: a | met"),
        ("| a | deferred | |", "a row without three cells: a | deferred | "),
    ],
)
def test_a_wrong_row_is_named(row, problem):
    assert problems(page(row), TESTS) == [problem]


@pytest.mark.parametrize("text", ["# x\n", "## Demands\n\nNone.\n", page()])
def test_a_page_without_the_table_is_refused(text):
    assert problems(text, TESTS) == [
        "lacks a section '## Demands' with a table | demand | state | by |"
    ]


@pytest.mark.parametrize(
    ("suffix", "text", "names"),
    [
        (".rs", "#[test]\nfn one() {}\nfn helper() {}\n", {"one"}),
        (".rs", "    #[tokio::test(start_paused = true)]\n    async fn two() {}\n", {"two"}),
        (".rs", '#[test]\n#[allow(x, reason = "y")]\nfn three() {}\n', {"three"}),
        (".rs", "pub async fn holds(bench: Bench) -> Result<Outcome> {\n", {"holds"}),
        (".py", "def test_one(x):\n    pass\ndef helper():\n    pass\n", {"test_one"}),
        (".java", '  @Test\n  @Tag("spark")\n  void readsRows() {', {"readsRows"}),
    ],
)
def test_names_of_tests_are_found(suffix, text, names):
    assert names_in(text, suffix) == names
