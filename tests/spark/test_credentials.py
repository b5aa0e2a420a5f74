"""Credentials by reference and by named connection are used, and shown nowhere."""

import json

import pytest
from support import environment, history, processes
from support.simulator import Simulator, example, github
from support.streams import read

_SCRIPT = environment.path("LAKEFLOW_ROOT") / "tests" / "spark" / "credentials_driver.py"

#: Values of credentials; the corpora hold no such text.
_TOKEN, _PASSWORD, _INLINE = "c4nary-t0ken-1", "c4nary-passw0rd-2", "c4nary-inl1ne-3"


@pytest.fixture(scope="module", params=environment.lines_under_test())
def told(request, tmp_path_factory):
    """Runs the driver once: its result, and every file and line that it left."""
    folder = tmp_path_factory.mktemp(f"credentials-{request.param}")
    with Simulator("serve", "--source", "github", "--source", "example") as simulator:
        result = folder / "result.json"
        spec = {
            "jars": [str(environment.jar())],
            "folder": str(folder / "spark"),
            "simulator": simulator.url,
            "reads": _reads(simulator),
            "inline": {
                name: {"sourceName": "mailchimp", "tableName": "reports", name: f"{_INLINE}-us1"}
                for name in ("api_key", "api_key_token")
            },
            "events": str(_made(folder / "events")),
            "streams": str(_made(folder / "streams")),
            "result": str(result),
        }
        output = processes.run(
            environment.python(request.param),
            _SCRIPT,
            spec,
            folder / "process",
            environment=_environment(simulator, folder),
            seconds=500,
        )
    told = json.loads(result.read_text())
    told["shown"]["log"] = output.read_text(errors="replace")
    home = environment.spark_home(request.param)
    for path, text in history.pages(home, folder / "events", folder / "history"):
        told["shown"][f"history: {path}"] = text
    for path in [*(folder / "events").rglob("*"), *(folder / "streams").rglob("*")]:
        if path.is_file():
            told["shown"][str(path.relative_to(folder))] = path.read_bytes().decode("latin-1")

    return told


def _reads(simulator) -> dict:
    by_reference = github(simulator) | {"token": "env:LAKEFLOW_TEST_TOKEN"}
    named = {"connection": "shop", "tableName": "orders"}

    return {"reference": by_reference, "connection": named}


def _environment(simulator, folder) -> dict:
    password = _made(folder / "secrets") / "password"
    password.write_text(f"{_PASSWORD}\n")
    connections = folder / "connections.toml"
    shop = {name: value for name, value in example(simulator, "").items() if value}
    shop |= {"password": f"file:{password}"}
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in shop.items())
    connections.write_text(f"[shop]\n{lines}")
    connections.chmod(0o600)

    return {
        "LAKEFLOW_TEST_TOKEN": _TOKEN,
        "LAKEFLOW_SECRET_DIRS": str(folder / "secrets"),
        "LAKEFLOW_SECRET_HOSTS": simulator.url,
        "LAKEFLOW_CONNECTIONS_FILE": str(connections),
    }


def _made(folder):
    folder.mkdir()
    return folder


def test_reads_by_reference_and_by_connection_bring_every_row(told, simulator):
    issues = [r for r in simulator.records("github", "issues") if "/o/r" in r["repository_url"]]
    orders = simulator.records("example", "orders")

    assert told["rows"] == {
        "reference": [len(issues), len(issues)],
        "connection": [len(orders), len(orders)],
        "catalog": [len(orders)],
    }


def test_a_credential_that_is_referred_to_is_shown_nowhere(told):
    places = {name: text for name, text in told["shown"].items() if text}
    assert "catalog: plans" in places and "catalog: description" in places
    for kind in ("plans", "view", "stream", "progress", "slice 0", "error", "answer"):
        assert f"reference: {kind}" in places and f"connection: {kind}" in places
    for part in (
        "environment/",
        "events/",
        "/offsets/",
        "/owner.json",
        "SQL/execution/?id=0",
        "log",
        "history: sql",
    ):
        assert any(part in name for name in places), part

    shown = [
        name for name, text in places.items() for canary in (_TOKEN, _PASSWORD) if canary in text
    ]
    assert shown == []


def test_spark_shows_an_inline_key_and_redacts_its_other_name(told):
    assert _INLINE in told["inline"]["api_key"]
    assert _INLINE not in told["inline"]["api_key_token"]
    assert "api_key_token" in told["inline"]["api_key_token"]


_OWN_HOST = {"base_url": "https://api.github.com"}

#: What is changed in good options, and what the error says.
_MISTAKES = {
    "variable without the prefix": (
        _OWN_HOST | {"token": "env:HOME"},
        "option 'token': reference 'env:HOME' must name a variable that begins with LAKEFLOW_",
    ),
    "variable that is not set": (
        _OWN_HOST | {"token": "env:LAKEFLOW_NONE"},
        "option 'token': reference 'env:LAKEFLOW_NONE' names a variable that is not set",
    ),
    "file that is not listed": (
        _OWN_HOST | {"token": "file:/etc/passwd"},
        "option 'token': reference 'file:/etc/passwd' must name a regular file below a directory",
    ),
    "host that is not listed": (
        {"token": "env:LAKEFLOW_TEST_TOKEN", "base_url": "https://ghe.example"},
        "option 'token' is a reference, and option 'base_url' lets another host",
    ),
    "unknown connection": ({"connection": "nowhere"}, "there is no connection 'nowhere'"),
    "malformed connection": ({"connection": "../x"}, "option 'connection' must be a name"),
}


@pytest.mark.parametrize("case", _MISTAKES)
def test_a_mistake_is_named_before_any_request(spark, simulator, case):
    changes, message = _MISTAKES[case]

    with pytest.raises(Exception) as failure:
        read(spark, github(simulator) | changes)

    assert "CONFIG_INVALID" in str(failure.value) and message in str(failure.value)
    assert simulator.requests() == []


def test_a_secret_of_the_session_must_be_a_reference(spark, simulator):
    options = {k: v for k, v in github(simulator).items() if k != "token"}
    default = "spark.datasource.lakeflow_connect.token"
    messages = []
    for value in (_INLINE, "env:LAKEFLOW_NONE"):
        spark.conf.set(default, value)
        try:
            with pytest.raises(Exception) as failure:
                read(spark, options)
            messages.append(str(failure.value))
        finally:
            spark.conf.unset(default)

    assert "option 'token' stands in the configuration of the session" in messages[0]
    assert _INLINE not in messages[0]
    assert "'env:LAKEFLOW_NONE' names a variable that is not set" in messages[1]


def test_session_defaults_of_other_sources_are_passed_over(spark, simulator):
    default = "spark.datasource.lakeflow_connect.subdomain"
    spark.conf.set(default, "acme")
    try:
        assert read(spark, github(simulator)).count() > 0
    finally:
        spark.conf.unset(default)


def test_plain_http_to_another_machine_needs_leave(spark, simulator):
    own = example(simulator, "products")
    options = own | {"base_url": f"http://0.0.0.0:{simulator.port}/example"}

    with pytest.raises(Exception) as failure:
        read(spark, options)

    assert "option 'allowInsecureHttp' set to true lifts this" in str(failure.value)
    assert simulator.requests() == []
    allowed = read(spark, options | {"allowInsecureHttp": "true"})
    assert allowed.count() == read(spark, own).count() > 0
