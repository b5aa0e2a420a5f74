"""A list that moves while it is read: rows on pages already read are updated all the time."""

import json
import urllib.request
from datetime import timedelta

from support import corpus
from support.simulator import github
from support.streams import drain_each, load

_PAGE = 10
_PAGES = 1000
_CHURN = {
    "source": "github",
    "collection": "issues",
    "every_requests": 7,
    "rows": 3,
    "page_edges": True,
    "seed": 42,
}


def _start(github_simulator):
    simulator = github_simulator()
    start = corpus.hours_ago(12)
    issues = [corpus.issue(n + 1, start + timedelta(seconds=n)) for n in range(_PAGE * _PAGES)]
    simulator.set_records("github", "issues", issues)

    return simulator


def test_every_issue_arrives_in_its_last_version_by_the_end_of_the_next_run(
    spark, github_simulator, tmp_path
):
    simulator = _start(github_simulator)
    options = github(simulator, per_page=_PAGE, max_records_per_batch=1000)
    delivered = {}

    def keep(frame, _):
        for row in frame.select("id", "updated_at", "comments").collect():
            delivered.setdefault(row.id, []).append((row.updated_at, row.comments))

    simulator.churn(**_CHURN)
    first = drain_each(load(spark, options), tmp_path / "checkpoint", keep)
    simulator.stop_churn()
    drain_each(load(spark, options), tmp_path / "checkpoint", keep)

    final = {
        r["id"]: (r["updated_at"], r["comments"]) for r in simulator.records("github", "issues")
    }
    assert len(final) == _PAGE * _PAGES
    assert sum(comments > 0 for _, comments in final.values()) > 300, "the churn touched too little"
    assert len(first.batches) >= 10
    assert {key: max(versions) for key, versions in delivered.items()} == final


def test_following_page_numbers_would_lose_issues_under_this_churn(github_simulator):
    simulator = _start(github_simulator)
    simulator.churn(**_CHURN)
    seen, page = set(), 1
    while rows := _page(simulator, page):
        seen |= {row["id"] for row in rows}
        page += 1
        if page > 2 * _PAGES:
            break
    simulator.stop_churn()

    untouched = {r["id"] for r in simulator.records("github", "issues") if r["comments"] == 0}
    assert len(untouched - seen) > 100, "the scenario tells the two ways of reading apart"


def _page(simulator, page: int) -> list[dict]:
    query = f"state=all&sort=updated&direction=asc&per_page={_PAGE}&page={page}"
    request = urllib.request.Request(f"{simulator.base_url('github')}/repos/o/r/issues?{query}")
    request.add_header("Authorization", "Bearer t0ken-for-tests")
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)
