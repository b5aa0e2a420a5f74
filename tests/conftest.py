"""One Spark session for the whole suite, one simulator for each test that asks."""

import os
import signal

import pytest
from support import connections, environment, session
from support.simulator import Simulator

#: Longest time for one test, in seconds: a hang fails the test and not the whole run.
_TEST_SECONDS = 600

#: What tests name as `env:LAKEFLOW_TEST_TOKEN`, and the host that it may go to; every JVM that is
#: started from here inherits them.
os.environ |= {"LAKEFLOW_TEST_TOKEN": "t0ken-for-tests", "LAKEFLOW_SECRET_HOSTS": "127.0.0.1"}

connections.prepare()
session.use_host_zone()


def pytest_collection_modifyitems(config, items):
    """Leaves out what the suite's Spark line cannot do, by its marker."""
    missing = set() if environment.delta_jars() else {"delta"}
    if environment.spark_line() == "3_5":
        missing.add("spark4")
    left_out = [item for item in items if missing & {mark.name for mark in item.iter_markers()}]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def _no_test_hangs():
    def fail(*_):
        raise TimeoutError(f"the test took more than {_TEST_SECONDS} s")

    former = signal.signal(signal.SIGALRM, fail)
    signal.alarm(_TEST_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, former)


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """The suite's Spark, with Delta where that has a release, and the jar that ships."""
    folder = tmp_path_factory.mktemp("spark")
    delta = environment.delta_jars()
    spark = session.start("lakeflow-tests", [environment.jar(), *delta], folder, delta=bool(delta))
    yield spark
    spark.stop()


@pytest.fixture
def simulator():
    """GitHub and the example source with their default corpora."""
    with Simulator("serve", "--source", "github", "--source", "example") as simulator:
        yield simulator


@pytest.fixture
def github_simulator():
    """Starts simulators of GitHub with more arguments; all end with the test."""
    started = []

    def start(*arguments: str) -> Simulator:
        started.append(Simulator("serve", "--source", "github", *arguments))
        return started[-1]

    yield start
    for simulator in started:
        simulator.close()
