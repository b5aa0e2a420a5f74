"""Reading without Spark, from a fresh environment and an empty folder."""

import json
from pathlib import Path

import pytest
from support import processes, wheel
from support.golden import golden, golden_rows
from support.simulator import Simulator, github

#: Rows of a table of which only the first batch is taken.
_MANY = 60_000


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What a process saw that has the wheel and the libraries that take Arrow."""
    folder = tmp_path_factory.mktemp("data")
    python = wheel.without_spark(folder / "environment")
    with (
        Simulator("serve", "--source", "github") as simulator,
        Simulator("serve", "--source", "github", "--rows", f"github/issues={_MANY}") as many,
        Simulator("serve", "--source", "github") as silent,
    ):
        simulator.set_records("github", "issues", golden("github_issues")["records"])
        silent.fault(path="/github/*", kind="black_hole", every=1)
        spec = {
            "options": github(simulator),
            "many": github(many),
            "silent": github(silent),
            "result": str(folder / "result.json"),
        }
        script = Path(__file__).with_name("data_driver.py")
        alone = wheel.alone(python)
        processes.run(python, script, spec, folder / "empty", environment=alone)
        asked = len(many.requests())
    rows = golden_rows("github_issues")

    return json.loads((folder / "result.json").read_text()) | {"rows": rows, "asked": asked}


@pytest.mark.parametrize("reader", ("to_arrow", "batches", "stream", "polars", "duckdb"))
def test_every_reader_of_arrow_gives_the_golden_rows(seen, reader):
    assert seen["read"][reader] == seen["rows"]


def test_pandas_has_the_golden_rows(seen):
    assert seen["read"]["pandas"] == [[row["id"], row["title"]] for row in seen["rows"]]


def test_columns_and_rows_can_be_chosen(seen):
    assert seen["chosen"]["columns"] == ["title", "number"]
    assert seen["chosen"]["rows"] == 2


def test_a_table_says_what_it_is_before_it_is_read(seen):
    told = seen["told"]

    assert told["source"] == "<source github>"
    assert told["table"] == "<table github.issues>"
    assert {"issues", "commits"} < set(told["tables"])
    assert told["tables"] == sorted(told["tables"])
    assert told["schema"] == list(seen["rows"][0])
    assert told["any_case"] == len(seen["rows"])
    assert (told["chosen"], told["whole"], told["of_silent"]) == (["title", "id"], True, ["id"])
    assert told["described"] == ["cdc", ["id"], "updated_at", True]


def test_one_batch_of_a_large_table_is_not_the_whole_table(seen):
    assert seen["first"] < _MANY / 6
    # One batch is given, two are ready, and one more may be in the making.
    assert seen["asked"] <= 4 * seen["first"] / 100 + 10


def test_ctrl_c_ends_a_read_that_waits_while_other_threads_run(seen):
    assert seen["interrupted"] == {
        "direct": "KeyboardInterrupt",
        "batches": "KeyboardInterrupt",
        "stream": "ArrowInvalid",
    }


def test_ctrl_c_ends_a_read_whose_batches_come_at_once(seen):
    assert 0 < seen["interrupted_after"] < _MANY


def test_errors_have_their_class_and_code_and_no_secret(seen):
    assert seen["errors"] == {
        "option": [
            "ConfigInvalidError",
            "CONFIG_INVALID",
            "never",
            "[CONFIG_INVALID] unknown option 'per_pag' (a value of 1 characters); did you mean "
            "'per_page'?",
        ],
        "source": [
            "ConfigInvalidError",
            "CONFIG_INVALID",
            "never",
            "[CONFIG_INVALID] unknown source 'nope'; known sources: example, github, hubspot, "
            "mailchimp, shopify, zendesk",
        ],
        "table": seen["errors"]["table"],
        "stream": seen["errors"]["stream"],
        "column": seen["errors"]["column"],
        "column_read": seen["errors"]["column"],
    }
    kind, code, retry, text = seen["errors"]["table"]
    assert (kind, code, retry) == ("TableNotFoundError", "TABLE_NOT_FOUND", "never")
    assert text.startswith("[TABLE_NOT_FOUND] unknown table 'nope'; the source has: assignees,")
    assert seen["errors"]["stream"] == ["ConfigInvalidError", "CONFIG_INVALID", "never"]
    text = "[CONFIG_INVALID] the table has no column 'nope'"
    assert seen["errors"]["column"] == ["CONFIG_INVALID", "never", text]


def test_ordinary_mistakes_are_told_in_words(seen):
    known = "[CONFIG_INVALID] "

    assert seen["mistakes"] == {
        "unnamed": f"{known}name a source, such as open('github'), or a connection that has one",
        "misnamed": f"{known}name a source, such as open('github'), or a connection that has one",
        "table_by_name": f"{known}the table comes first: read('issues', ...)",
        "half": f"{known}option 'owner' has half of a character (a lone surrogate)",
        "no_columns": f"{known}select takes names of columns, got none",
        "column_twice": f"{known}select names column 'id' twice",
        "column_kind": f"{known}select takes names of columns, got 7",
        "limit_kind": [
            f"{known}limit takes a number of rows, 0 or more, got {given}"
            for given in ("-1", "'5'", "True", "1.5")
        ],
    }


def test_of_several_limits_the_least_counts(seen):
    assert seen["limits"] == [2, 1, 0]
    assert seen["listed"] == ["title", "id"]


def test_types_that_values_do_not_fit_make_no_nulls(seen):
    assert seen["other_schema"] in (["int64", 0], ["refused", seen["other_schema"][1]])


def test_an_error_keeps_its_code_when_it_is_sent_to_another_process(seen):
    assert seen["pickled"] == seen["errors"]["table"]


def test_the_package_can_be_looked_at_without_spark(seen):
    names = seen["names"]

    assert {"configure", "ingest", "LakeflowError"} < set(names["starred"])
    assert not {"open", "register", "LakeflowSource"} & set(names["starred"])
    assert set(names["members"]) == {"open", *names["starred"]}
    assert names["refused"].startswith("lakeflow_connect.register needs PySpark 4.0 or later")


def test_nothing_of_spark_is_needed_or_loaded(seen):
    assert seen["loaded"] == []


def test_the_wheel_has_the_jar(seen):
    assert seen["jar"] == ["lakeflow/connect/spark/LakeflowTableProvider.class", True]


def test_a_forked_process_is_told_to_be_started_otherwise(seen):
    assert seen["forked"].startswith("[UNSUPPORTED] this process was forked from one that had read")
