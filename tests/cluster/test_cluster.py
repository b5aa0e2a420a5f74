"""Reads by the executors of a cluster: all of the table, by both workers, whatever happens.

The cluster, the simulator and the drivers are processes of their own.
"""

import json
from collections import Counter
from pathlib import Path

import pytest
from support import environment, processes
from support.cluster import SLOTS, Cluster
from support.simulator import Simulator, github, shopify, spread_commits, spread_shop
from support.streams import Checkpoint

_ROWS = 1200
_PAGE = 10

#: What a service lets through in any second, and what it answers to more.
_LIMIT = 10
_TOO_MANY = {"status": 429, "body": {}, "headers": {"retry-after": "${retry_after}"}}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """One cluster for all tests."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def shop():
    """A shop with products of many months."""
    with spread_shop(_ROWS, days=240) as shop:
        yield shop


@pytest.fixture(scope="module")
def drive(cluster, tmp_path_factory):
    """Runs a driver of this folder and returns what it told."""

    def drive(script: str, simulator: Simulator, options: dict, **more) -> dict:
        folder = tmp_path_factory.mktemp(script)
        jars = [environment.jar(), *environment.delta_jars()]
        spec = {
            "master": cluster.master,
            "jars": [str(jar) for jar in jars],
            "delta": bool(environment.delta_jars()),
            "folder": str(folder / "spark"),
            "simulator": simulator.url,
            "options": options,
            "result": str(folder / "result.json"),
        }
        driver = Path(__file__).with_name(f"{script}.py")
        processes.run(environment.python(), driver, spec | more, folder / "driver")
        return json.loads((folder / "result.json").read_text())

    return drive


@pytest.fixture(scope="module")
def told(drive, shop):
    """What a driver read in each way, and the ids that the service has."""
    ids = sorted(product["id"] for product in shop.records("shopify", "products"))

    return drive("reads", shop, shopify(shop, limit=_PAGE)) | {"ids": ids}


def _splits(read: dict) -> Counter:
    """How often each split was begun, by its bounds."""
    bounds = ("created_at_min", "created_at_max")
    begun = (a for a in read["asked"] if not {"updated_at_min", "page_info"} & a.keys())

    return Counter(tuple(asked.get(name) for name in bounds) for asked in begun)


def test_splits_give_what_one_task_gives(told):
    assert told["in one piece"]["ids"] == told["ids"]
    assert told["in splits"]["ids"] == told["ids"]


def test_both_workers_serve_splits(told):
    assert sorted(told["in one piece"]["tasks"].values()) == [0, 1]
    served = told["in splits"]["tasks"]
    assert len(served) == 2 and min(served.values()) > SLOTS / 2, served
    # Three for each slot, and the request that finds where they begin.
    assert sum(served.values()) == 3 * 2 * SLOTS
    splits = _splits(told["in splits"])
    assert splits.pop((None, None)) == 1
    assert splits.total() == len(splits) == 3 * 2 * SLOTS


def test_no_record_is_missed_while_all_of_them_change(told):
    assert sorted(set(told["while records change"]["ids"])) == told["ids"]


def test_a_dead_executor_costs_the_requests_of_the_splits_it_was_reading(told):
    read = told["while an executor dies"]
    assert read["ids"] == told["ids"]

    splits = _splits(read)
    repeated = [split for split, times in splits.items() if times > 1]
    assert 1 <= len(repeated) <= SLOTS
    assert max(splits.values()) == 2
    pages = Counter(
        (asked.get("created_at_min"), asked.get("created_at_max")) for asked in read["asked"]
    )
    whole = max(times for split, times in pages.items() if split not in repeated)
    assert max(pages[split] for split in repeated) <= 2 * whole


@pytest.fixture(scope="module")
def paces(drive):
    """Requests to a service with a limit, by the number of splits: instant in ms and status."""
    rows = 40 * _LIMIT * _PAGE
    with spread_shop(rows, days=240) as shop:
        shop.limit_rate(
            "shopify",
            [{"kind": "rolling", "limit": _LIMIT, "window_seconds": 1, "exceeded": _TOO_MANY}],
        )
        paces = drive("paces", shop, shopify(shop, limit=_PAGE), splits=[1, 8, 64])
        assert all(pace["rows"] == rows for pace in paces.values())

    return paces


@pytest.mark.parametrize("splits", ["1", "8", "64"])
def test_a_service_with_a_limit_is_used_to_the_limit_and_hardly_ever_refuses(paces, splits):
    asked = paces[splits]["asked"]
    begin = asked[0][0] + 5_000
    statuses = [status for at_ms, status in asked if at_ms >= begin]
    assert statuses.count(429) <= 0.02 * len(statuses)

    # Then an executor may have no split left, and its part is found by the other one in a while.
    passed = [at_ms for at_ms, status in asked if status == 200]
    end = passed[len(passed) * 5 // 8]
    assert end - begin > 15_000, "too short a read to tell"
    rate = sum(begin <= at_ms < end for at_ms in passed) * 1000 / (end - begin)
    assert rate >= 0.8 * _LIMIT


def test_a_stream_by_executors_whose_driver_dies_is_whole_after_the_next_run(drive, tmp_path):
    with Simulator("serve", "--source", "github", "--rows", "github/o/r/commits=600") as service:
        commits = spread_commits(service, "o/r", days=240)
        options = github(service, table="commits", streamReads="executors", window_seconds=86400)
        checkpoint = Checkpoint(tmp_path / "checkpoint")
        stream = {"table": str(tmp_path / "table"), "checkpoint": str(checkpoint.folder)}

        died = drive("stream", service, options, **stream, die_after=40)
        logged = checkpoint.offset_texts(0)
        assert died == {"jvm_exit": -9, "asked": died["asked"]}
        assert (checkpoint.logged(), checkpoint.committed()) == ([0], [])
        assert checkpoint.offset(0)["by_split"] is True

        whole = drive("stream", service, options, **stream, die_after=None)

    assert checkpoint.offset_texts(0) == logged
    assert "by_split" not in checkpoint.offset(1)
    assert sorted(whole["shas"]) == sorted(commit["sha"] for commit in commits)
    assert whole["batches"][0] > whole["batches"][1] > 0
    served = whole["tasks"]
    assert len(served) == 2 and min(served.values()) > SLOTS / 2, served
    # Without the requests that find where the table begins.
    begun = [{tuple(asked) for asked in run["asked"] if asked[0]} for run in (died, whole)]
    assert len(begun[0]) >= SLOTS and begun[0] <= begun[1], "the same splits are planned again"
