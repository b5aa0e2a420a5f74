"""Recorded traffic of api.github.com: 13 issues over 5 pages, newest first, one `updated_at`."""

import json

import pytest
from support import environment, expected
from support.rows import values
from support.simulator import Simulator
from support.streams import drain, load, read

_OWNER, _REPO = "octokit-fixture-org", "paginate-issues"


def _options(simulator) -> dict:
    return {
        "sourceName": "github",
        "token": "t0ken-for-tests",
        "base_url": simulator.url,
        "tableName": "issues",
        "owner": _OWNER,
        "repo": _REPO,
        "per_page": "3",
    }


def _rows(simulator, schema) -> list[dict]:
    """The recorded issues as rows, their origin that of the simulator."""
    exchanges = json.loads(environment.recording().read_text())
    issues = [issue for exchange in exchanges for issue in exchange["response"]]
    text = json.dumps(issues).replace("https://api.github.com", simulator.url)
    added = {"repository_owner": _OWNER, "repository_name": _REPO}
    rows = [expected.project(issue, schema, **added) for issue in json.loads(text)]
    assert len(rows) == 13

    return sorted(rows, key=lambda row: row["number"])


@pytest.fixture
def replay():
    with Simulator("replay", "--recording", str(environment.recording())) as simulator:
        yield simulator


def test_all_13_issues_arrive_in_one_batch(spark, replay):
    frame = read(spark, _options(replay))

    assert values(frame, "number") == _rows(replay, frame.schema)
    paths = {request.path for request in replay.requests()}
    assert paths == {f"/repos/{_OWNER}/{_REPO}/issues", "/repositories/1000/issues"}


def test_all_13_issues_arrive_in_one_stream(spark, replay, tmp_path):
    frame = load(spark, _options(replay))

    run = drain(frame, tmp_path / "table", tmp_path / "checkpoint")

    table = spark.read.format("delta").load(str(tmp_path / "table"))
    assert values(table, "number") == _rows(replay, frame.schema)
    assert run.rows == 13


def test_next_links_to_the_recorded_origin_are_refused(spark):
    arguments = ("replay", "--recording", str(environment.recording()), "--keep-origin")
    with Simulator(*arguments) as simulator:
        with pytest.raises(Exception) as failure:
            read(spark, _options(simulator)).collect()

        assert "https://api.github.com" in str(failure.value)
        assert "origin" in str(failure.value)
        assert len(simulator.requests()) == 1
