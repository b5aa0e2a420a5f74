"""Reads by the executors of a cluster: all of the table, by both workers, whatever happens.

The cluster, the simulator and the driver are processes of their own.
"""

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from support import corpus, environment, processes
from support.cluster import SLOTS, Cluster
from support.simulator import Simulator

_ROWS = 1200
_PAGE = 10


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """One cluster for all tests."""
    with Cluster(tmp_path_factory.mktemp("cluster") / "spark") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def told(cluster, tmp_path_factory):
    """What a driver read in each way, and the ids that the service has."""
    folder = tmp_path_factory.mktemp("reads")
    with Simulator("serve", "--source", "shopify", "--rows", f"shopify/products={_ROWS}") as shop:
        products = _spread(shop.records("shopify", "products"))
        shop.set_records("shopify", "products", products)
        spec = {
            "master": cluster.master,
            "jars": [str(environment.jar())],
            "folder": str(folder / "spark"),
            "simulator": shop.url,
            "options": _options(shop, "products"),
            "result": str(folder / "result.json"),
        }
        driver = Path(__file__).with_name("driver.py")
        processes.run(environment.python(), driver, spec, folder / "driver")
    told = json.loads((folder / "result.json").read_text())

    return told | {"ids": sorted(product["id"] for product in products)}


def _spread(products: list[dict]) -> list[dict]:
    """The same products, made one after the other over the last 240 days."""
    first = corpus.hours_ago(240 * 24)
    for number, product in enumerate(products):
        made = first + timedelta(hours=240 * 24 * number / len(products))
        product |= {"created_at": corpus.instant(made), "updated_at": corpus.instant(made)}

    return products


def _options(shop: Simulator, table: str) -> dict:
    return {
        "sourceName": "shopify",
        "shop": "acme",
        "access_token": "t0ken-for-tests",
        "base_url": shop.base_url("shopify"),
        "tableName": table,
        "limit": str(_PAGE),
    }


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
