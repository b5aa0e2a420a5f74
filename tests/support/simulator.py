"""The simulator as a process, and its admin calls."""

import json
import subprocess
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from support import corpus, environment


@dataclass(frozen=True)
class Request:
    """One logged request: `query` as sent, `rows` and `bytes` as answered, ms since 1970."""

    number: int
    source: str
    method: str
    path: str
    query: dict
    status: int
    rows: int
    bytes: int
    at_ms: int


class Connection:
    """A simulator that runs already, at `url`."""

    def __init__(self, url: str):
        self.url = url

    @property
    def port(self) -> int:
        """The TCP port on loopback."""
        return urlsplit(self.url).port

    def base_url(self, source: str) -> str:
        """What a connector takes as `base_url`."""
        return f"{self.url}/{source}"

    def call(self, method: str, path: str, body=None, headers=None):
        """Sends one request to `path` and returns the decoded answer, `None` if it is empty."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from error

        return json.loads(text) if text else None

    def requests(self) -> list[Request]:
        """Requests since the start or the last `clear_requests`, admin calls left out."""
        log = self.call("GET", "/_simulator/requests")
        entries = log["requests"] if isinstance(log, dict) else log

        return [
            Request(
                number=entry["number"],
                source=entry["source"],
                method=entry["method"],
                path=entry["path"],
                query=_query(entry["query"]),
                status=entry["status"],
                rows=entry["rows"],
                bytes=entry["bytes"],
                at_ms=entry["at_ms"],
            )
            for entry in entries
        ]

    def clear_requests(self):
        """Empties the request log."""
        self.call("DELETE", "/_simulator/requests")

    def records(self, source: str, collection: str) -> list[dict]:
        """The records as they are now."""
        answer = self.call("GET", f"/_simulator/records/{source}/{collection}")
        return answer["records"] if isinstance(answer, dict) else answer

    def set_records(self, source: str, collection: str, records: list[dict]):
        """Replaces all records, each exactly as given."""
        self.call("PUT", f"/_simulator/records/{source}/{collection}", records)

    def freeze(self, instant: str):
        """Stops the clock at an ISO instant."""
        self.call("POST", "/_simulator/clock", {"freeze": instant})

    def fault(self, **settings):
        """Lets requests fail: `path` with `*`, `nth` or `every`, and `kind`."""
        self.call("POST", "/_simulator/faults", settings)

    def clear_faults(self):
        """Ends what `fault` began."""
        self.call("DELETE", "/_simulator/faults")

    def limit_rate(self, source: str, limits: list[dict]):
        """Replaces the limits of requests that a source enforces."""
        self.call("PUT", f"/_simulator/rate-limits/{source}", limits)

    def churn(self, **settings):
        """Touches rows that were already listed while a list is walked."""
        self.call("POST", "/_simulator/churn", settings)

    def stop_churn(self):
        """Ends what `churn` began."""
        self.call("DELETE", "/_simulator/churn")

    def grow(self, **settings):
        """Adds a row at every list request."""
        self.call("POST", "/_simulator/grow", settings)


class Simulator(Connection):
    """A simulator as a process of its own; use as a context manager.

    Args:
        arguments: sub-command and options of the binary, such as `serve --source github`.
    """

    def __init__(self, *arguments: str):
        command = [str(environment.path("LAKEFLOW_SIMULATOR")), *arguments]
        self._process = subprocess.Popen(
            [*command, "--until-stdin-closes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the simulator ended with {self._process.wait()}: {command}")
        super().__init__(json.loads(line)["url"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


def _query(query) -> dict:
    if isinstance(query, str):
        return dict(parse_qsl(query, keep_blank_values=True))

    return dict(query)


@contextmanager
def spread_shop(products: int, days: int):
    """A shop whose products were made one after the other over the last days."""
    with Simulator(
        "serve", "--source", "shopify", "--rows", f"shopify/products={products}"
    ) as shop:
        records = shop.records("shopify", "products")
        for record, made in zip(records, corpus.spread(len(records), days), strict=True):
            record |= {"created_at": made, "updated_at": made}
        shop.set_records("shopify", "products", records)
        yield shop


def spread_commits(simulator: Connection, repo: str, days: int, count: int | None = None) -> list:
    """Leaves a repository its first commits, or all, and makes them one after the other over the
    last days; the commits."""
    collection = f"{repo}/commits"
    commits = simulator.records("github", collection)[:count]
    for commit, made in zip(commits, corpus.spread(len(commits), days), strict=True):
        commit["commit"]["committer"]["date"] = made
    simulator.set_records("github", collection, commits)

    return commits


def github(simulator: Connection, repo: str = "o/r", table: str = "issues", **more) -> dict:
    """Options that read a table of `repo` from the simulator."""
    owner, name = repo.split("/")
    options = {
        "sourceName": "github",
        "token": "t0ken-for-tests",
        "base_url": simulator.base_url("github"),
        "tableName": table,
        "owner": owner,
        "repo": name,
    }

    return options | {key: str(value) for key, value in more.items()}


def example(simulator: Connection, table: str, **more) -> dict:
    """Options that read a table of the source `example` from the simulator."""
    options = {
        "sourceName": "example",
        "username": "user-for-tests",
        "password": "passw0rd-for-tests",
        "base_url": simulator.base_url("example"),
        "tableName": table,
    }

    return options | {key: str(value) for key, value in more.items()}


def shopify(simulator: Connection, table: str = "products", **more) -> dict:
    """Options that read a table of a shop from the simulator."""
    options = {
        "sourceName": "shopify",
        "shop": "acme",
        "access_token": "t0ken-for-tests",
        "base_url": simulator.base_url("shopify"),
        "tableName": table,
    }

    return options | {key: str(value) for key, value in more.items()}
