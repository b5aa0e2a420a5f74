"""Recorded traffic of api.github.com: every list of it that is one of our tables.

13 issues over 5 pages, newest first, one `updated_at`; and the collaborators of a repository before
and after one was removed.
"""

import json

import pytest
from support import environment, expected, streams
from support.rows import values
from support.simulator import Simulator
from support.streams import drain, load, read

_OWNER, _REPO = "octokit-fixture-org", "paginate-issues"


def _options(simulator, table: str = "issues", repo: str = _REPO) -> dict:
    return {
        "sourceName": "github",
        "token": "t0ken-for-tests",
        "base_url": simulator.url,
        "tableName": table,
        "owner": _OWNER,
        "repo": repo,
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

    table = streams.table(spark, tmp_path / "table")
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


@pytest.mark.parametrize(("moment", "count"), [(0, 2), (1, 1)])
def test_collaborators_of_either_moment_come_whole(spark, tmp_path, moment, count):
    repo = "add-and-remove-repository-collaborator"
    exchanges = json.loads(environment.recording(repo).read_text())
    path = f"/repos/{_OWNER}/{repo}/collaborators"
    lists = [e for e in exchanges if e["method"] == "get" and e["path"] == path]
    assert len(lists) == 2
    # Alone in its recording, a list is the answer whatever page size is asked for.
    recording = tmp_path / "recording.json"
    recording.write_text(json.dumps([lists[moment]]))

    with Simulator("replay", "--recording", str(recording)) as simulator:
        frame = read(spark, _options(simulator, "collaborators", repo))
        rows = values(frame, "id")
        text = json.dumps(lists[moment]["response"])
        recorded = json.loads(text.replace("https://api.github.com", simulator.url))

    added = {"repository_owner": _OWNER, "repository_name": repo}
    wanted = [expected.project(user, frame.schema, **added) for user in recorded]
    assert rows == sorted(wanted, key=lambda row: row["id"])
    assert len(rows) == count
