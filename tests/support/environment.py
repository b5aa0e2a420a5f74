"""Paths that `bin/test` hands over; a missing one is an error, never a skipped test."""

import os
from pathlib import Path

#: Spark versions by the suffix of their variable `LAKEFLOW_VENV_<suffix>`.
SPARK_LINES = ("3_5", "4_0", "4_1", "4_3")


def path(variable: str) -> Path:
    """The existing path in `variable`.

    Raises:
        RuntimeError: the variable is not set, or nothing is there.
    """
    value = os.environ.get(variable, "")
    if not value:
        raise RuntimeError(f"{variable} is not set: run through bin/test, bin/demo or bin/bench")
    found = Path(value)
    if not found.exists():
        raise RuntimeError(f"{variable} names {value}, which does not exist")

    return found


def jar() -> Path:
    """The jar that ships."""
    return path("LAKEFLOW_JAR")


def testing_jar() -> Path:
    """The jar with fail points and with sources that misbehave."""
    return path("LAKEFLOW_TESTING_JAR")


def spark_line() -> str:
    """The Spark line that the suite runs on, such as `4_1`."""
    line = os.environ.get("LAKEFLOW_SPARK_LINE", "")
    if line not in SPARK_LINES:
        raise RuntimeError(f"LAKEFLOW_SPARK_LINE must be one of {SPARK_LINES}, not {line!r}")

    return line


def lines_under_test() -> tuple[str, ...]:
    """The lines that a test runs on which is of all of them: every one in the main suite."""
    return SPARK_LINES if spark_line() == "4_1" else (spark_line(),)


def python(line: str | None = None) -> Path:
    """The interpreter of a Spark line, of the suite's own unless given."""
    return path(f"LAKEFLOW_VENV_{line or spark_line()}") / "bin" / "python"


def spark_home(line: str | None = None) -> Path:
    """The folder of Spark's own scripts and jars, of the suite's line unless given."""
    return next(python(line).parent.parent.glob("lib/python3*/site-packages/pyspark"))


def delta_jars(line: str | None = None) -> list[Path]:
    """The Delta jars of a Spark line (the suite's unless given); none if there is no release."""
    variable = f"LAKEFLOW_DELTA_JARS_{line or spark_line()}"
    value = os.environ.get(variable)
    if value is None:
        raise RuntimeError(f"{variable} is not set: run through bin/test or bin/demo")
    jars = [Path(item) for item in value.split(",") if item]
    missing = [str(item) for item in jars if not item.exists()]
    if missing:
        raise RuntimeError(f"{variable} names files that do not exist: {missing}")

    return jars


def recording(scenario: str = "paginate-issues") -> Path:
    """A scenario of GitHub's recorded traffic: the list of issues unless named."""
    scenario = f"scenarios/api.github.com/{scenario}/normalized-fixture.json"
    found = path("LAKEFLOW_FIXTURES") / scenario
    if not found.exists():
        raise RuntimeError(f"LAKEFLOW_FIXTURES holds no {scenario}")

    return found
