"""What Spark's UI shows at scans of this source, read from the store behind it."""

import time


def mark(spark) -> int:
    """The number of the last query so far; queries after it are those of a test."""
    return max((execution.executionId() for execution in _executions(spark, -1)), default=-1)


def shown(spark, after: int) -> dict[str, int]:
    """Metrics of all scans of queries after number `after`, summed over the queries.

    Raises:
        AssertionError: Spark has not counted them up within 10 s.
    """
    totals: dict[str, int] = {}
    store = _store(spark)
    for execution in _counted_up(spark, after):
        number = execution.executionId()
        values = {pair._1(): pair._2() for pair in _items(store.executionMetrics(number))}
        for node in _items(store.planGraph(number).allNodes()):
            if "lakeflow_connect" not in node.desc():
                continue
            for metric in _items(node.metrics()):
                value = values.get(metric.accumulatorId(), "0").replace(",", "")
                if value.isdigit():
                    totals[metric.name()] = totals.get(metric.name(), 0) + int(value)

    return totals


def _counted_up(spark, after: int) -> list:
    end = time.monotonic() + 10
    while True:
        found = _executions(spark, after)
        if all(execution.metricValues() is not None for execution in found):
            return found
        assert time.monotonic() < end, "metrics of a query are missing after 10 s"
        time.sleep(0.02)


def _executions(spark, after: int) -> list:
    spark._jsc.sc().listenerBus().waitUntilEmpty()
    found = _items(_store(spark).executionsList())

    return [execution for execution in found if execution.executionId() > after]


def _store(spark):
    return spark._jsparkSession.sharedState().statusStore()


def _items(scala) -> list:
    iterator, items = scala.iterator(), []
    while iterator.hasNext():
        items.append(iterator.next())

    return items
