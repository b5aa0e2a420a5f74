"""One table for each way in which service tell what changed: all rows, then only the change."""

from dataclasses import dataclass, field
from datetime import datetime

import pytest
from support import corpus, streams
from support.simulator import Simulator
from support.streams import drain, load, read

#: What opens each source, but for its address.
_CONNECTIONS = {
    "github": {"token": "t0ken-for-tests", "owner": "acme", "repo": "widgets"},
    "hubspot": {"access_token": "t0ken-for-tests"},
    "mailchimp": {"api_key": "k3y-for-tests"},
    "shopify": {"shop": "acme", "access_token": "t0ken-for-tests"},
    "zendesk": {"subdomain": "acme", "email": "a@example.com", "api_token": "t0ken-for-tests"},
}

#: What follows the simulator's address.
_BELOW = {"mailchimp": "/3.0"}


@dataclass(frozen=True)
class Case:
    """A table, and how one of its records changes.

    Attributes:
        collection: where the simulator keeps the records.
        id: field that finds a record, and column that finds its row.
        changed: fields that the change sets; a function makes them of the time.
        shown: column and value by which the changed row is known.
        options: of the table.
        repeats: unchanged rows come with the change, because their parent changed.
    """

    source: str
    table: str
    collection: str
    id: str
    changed: object
    shown: tuple
    options: dict = field(default_factory=dict)
    repeats: bool = False


def _zulu(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _millis(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _offset(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S+00:00")


#: By the kind of progress.
_CASES = {
    "sorted by the time of the change": Case(
        "github", "comments", "acme/widgets/comments", "id",
        lambda at: {"updated_at": _zulu(at), "body": "Edited"}, ("body", "Edited"),
    ),
    "newest change first": Case(
        "github", "pull_requests", "o/r/pulls", "id",
        lambda at: {"updated_at": _zulu(at), "title": "Edited"}, ("title", "Edited"),
        {"owner": "o", "repo": "r"},
    ),
    "places that the service gives": Case(
        "zendesk", "tickets", "tickets", "id",
        lambda at: {
            "updated_at": _zulu(at),
            "generated_timestamp": int(at.timestamp()),
            "subject": "Edited",
        },
        ("subject", "Edited"),
        {"exports_per_minute": "10000"},
    ),
    "pages that state their end": Case(
        "zendesk", "organizations", "organizations", "id",
        lambda at: {"updated_at": _zulu(at), "name": "Edited"}, ("name", "Edited"),
        {"exports_per_minute": "10000"},
    ),
    "searches that are cut off": Case(
        "hubspot", "companies", "companies", "id",
        lambda at: {
            "updatedAt": _millis(at), "properties": {"hs_lastmodifieddate": _millis(at)},
        },
        None,
        {"requests_per_10_seconds": "100000", "searches_per_second": "10000"},
    ),
    "windows of time": Case(
        "github", "commits", "acme/widgets/commits", "sha",
        lambda at: {"sha": "f" * 40, "commit": {"committer": {"date": _zulu(at)}}},
        ("sha", "f" * 40),
    ),
    "sorted below parents": Case(
        "mailchimp", "members", "members", "id",
        lambda at: {"last_changed": _offset(at), "full_name": "Edited"}, ("full_name", "Edited"),
        {"count": "1000", "max_records_per_batch": "2000"},
    ),
    "one pass over a list, below many parents at once": Case(
        "shopify", "inventory_levels", "inventory_levels", "inventory_item_id",
        lambda at: {"updated_at": _offset(at), "available": 987654}, ("available", 987654),
    ),
    "children of records that changed": Case(
        "github", "reviews", "reviews", "id",
        lambda at: {"submitted_at": _zulu(at), "body": "Edited"}, ("body", "Edited"),
        {"owner": "o", "repo": "r"}, repeats=True,
    ),
}  # fmt: skip


#: Records of a few pages, where the default is more.
_ROWS = {
    "hubspot": ["companies=230"],
    "mailchimp": ["campaigns=60"],
    "shopify": ["inventory_levels=300"],
    "zendesk": ["tickets=1200", "organizations=1200"],
}


@pytest.fixture
def serve():
    """Starts a service; all end with the test."""
    started = []

    def start(source: str) -> Simulator:
        rows = [f"{source}/{rows}" for rows in _ROWS.get(source, [])]
        counts = [argument for count in rows for argument in ("--rows", count)]
        started.append(Simulator("serve", "--source", source, *counts))
        return started[-1]

    yield start
    for simulator in started:
        simulator.close()


def _options(simulator, case: Case) -> dict:
    address = simulator.base_url(case.source) + _BELOW.get(case.source, "")
    options = {"sourceName": case.source, "tableName": case.table, "base_url": address}
    options |= _CONNECTIONS[case.source] | {"max_records_per_batch": "150"}

    return options | case.options


@pytest.mark.parametrize("kind", _CASES)
def test_a_stream_gives_every_row_once_and_then_only_the_change(spark, serve, tmp_path, kind):
    case = _CASES[kind]
    service = serve(case.source)
    options = _options(service, case)
    table, checkpoint = tmp_path / "table", tmp_path / "checkpoint"
    records = _settled(service, case)
    batch = sorted(str(row[0]) for row in read(spark, options).select(case.id).collect())
    assert len(batch) > 40

    first = drain(load(spark, options), table, checkpoint)

    delivered = streams.table(spark, table).select(case.id).collect()
    assert sorted(str(row[0]) for row in delivered) == batch
    assert first.rows == len(batch)

    changed = next(r for r in records if _is_row(r, case))
    _merge(changed, case.changed(corpus.hours_ago(0.5)))
    _change(service, case, records)
    second = drain(load(spark, options), table, checkpoint)

    rows = streams.table(spark, table)
    assert rows.count() == first.rows + second.rows
    if case.repeats:
        assert 1 <= second.rows < first.rows
    else:
        assert second.rows == 1
    if case.shown:
        column, value = case.shown
        assert [str(r[0]) for r in rows.where(rows[column] == value).select(case.id).collect()] == [
            str(changed[case.id])
        ]
    assert drain(load(spark, options), table, checkpoint).rows == 0


def _settled(service, case: Case) -> list[dict]:
    """The records, an hour ago and for as long as nobody changes them."""
    service.freeze(corpus.instant(corpus.hours_ago(1)))
    records = service.records(case.source, case.collection)
    # From now on the text of a record is that of `json.dumps`, changed or not.
    service.set_records(case.source, case.collection, records)

    return records


def _change(service, case: Case, records: list[dict]):
    """What happened to the records in the last hour."""
    service.set_records(case.source, case.collection, records)
    service.freeze(corpus.instant(corpus.hours_ago(0)))


def _merge(record: dict, changes: dict):
    """Sets the fields of `changes`, those of records below one by one."""
    for name, value in changes.items():
        if isinstance(value, dict):
            _merge(record[name], value)
        else:
            record[name] = value


def _is_row(record: dict, case: Case) -> bool:
    """Whether the table shows the record: not an archived one, not one of another repository."""
    of_another = case.table == "reviews" and "/repos/o/r/" not in record["pull_request_url"]

    return not record.get("archived", False) and not of_another


def test_deletes_of_a_list_of_archived_records_come_once(spark, serve, tmp_path):
    case = _CASES["searches that are cut off"]
    service = serve(case.source)
    options = _options(service, case) | {"isDeleteFlow": "true"}
    table, checkpoint = tmp_path / "table", tmp_path / "checkpoint"
    records = _settled(service, case)
    before = drain(load(spark, options), table, checkpoint).rows
    gone = next(r for r in records if not r["archived"])
    gone |= {"archived": True, "archivedAt": _millis(corpus.hours_ago(0.5))}
    _change(service, case, records)

    run = drain(load(spark, options), table, checkpoint)

    assert run.rows == 1
    rows = streams.table(spark, table).select("id").collect()
    assert len(rows) == before + 1
    assert [row.id for row in rows].count(gone["id"]) == 1
    assert drain(load(spark, options), table, checkpoint).rows == 0


def test_a_table_found_in_the_account_is_read_with_its_discovered_columns(spark, serve):
    case = Case("hubspot", "vehicles", "p7000001_vehicles", "id", None, None)
    service = serve(case.source)
    frame = read(spark, _options(service, case))
    named = [
        column["name"] for column in service.records("hubspot", "p7000001_vehicles_properties")
    ]

    rows = frame.select("id", "properties.*").collect()

    live = [r for r in service.records("hubspot", "p7000001_vehicles") if not r["archived"]]
    assert sorted(row["id"] for row in rows) == sorted(record["id"] for record in live)
    assert set(rows[0].asDict()) - {"id"} <= set(named)
    assert len(rows[0].asDict()) > 5


def test_snapshots_of_several_pages_come_whole(spark, serve):
    case = Case("zendesk", "brands", "brands", "id", None, None)
    service = serve(case.source)
    frame = read(spark, _options(service, case))

    ids = sorted(row.id for row in frame.select("id").collect())

    assert ids == sorted(record["id"] for record in service.records("zendesk", "brands"))
    assert len(ids) > 200


def test_rejected_credentials_are_one_clear_error(spark, serve):
    case = _CASES["places that the service gives"]
    service = serve(case.source)
    options = _options(service, case)
    service.fault(path="/zendesk/*", kind={"status": {"code": 401}})

    with pytest.raises(Exception) as failure:
        read(spark, options).collect()

    assert "AUTH_FAILED" in str(failure.value)
    assert "api_token" in str(failure.value)
