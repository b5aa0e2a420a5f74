"""What SCD tables must hold, by what was seen of a source; shares no code with the product.

A history is a list of sightings in the order in which they were made.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sighting:
    """A version of a record, or its delete.

    Attributes:
        key: which record.
        at: when the version or the delete came to hold, in seconds.
        value: what was seen; `None` for a delete.
    """

    key: str
    at: int
    value: str | None


def latest(sightings: list[Sighting]) -> dict[str, tuple[int, str]]:
    """The current version of each record: key to time and value.

    The greatest time counts, however late it was seen; of one time the delete, or else what was
    seen last.
    """
    found: dict[str, Sighting] = {}
    for seen in sightings:
        known = found.get(seen.key)
        if known is None or _weight(seen) >= _weight(known):
            found[seen.key] = seen

    return {s.key: (s.at, s.value) for s in found.values() if s.value is not None}


def history(sightings: list[Sighting]) -> set[tuple[str, int, int | None, str]]:
    """Every version that held for a time: key, begin, end (`None`: it holds), value."""
    events: dict[str, dict[tuple[int, bool], str | None]] = {}
    for seen in sightings:
        events.setdefault(seen.key, {})[_weight(seen)] = seen.value
    versions = set()
    for key, by_time in events.items():
        times = sorted(by_time)
        for place, (at, deleted) in enumerate(times):
            end = times[place + 1][0] if place + 1 < len(times) else None
            if not deleted and end != at:
                versions.add((key, at, end, by_time[at, deleted]))

    return versions


def snapshots(seen: list[dict[str, str]]) -> set[tuple[str, int, int | None, str]]:
    """Every version that a series of snapshots shows: key, snapshot that showed it first, the one
    that no longer did (`None`: the last one still does), value."""
    versions = set()
    for key in {key for snapshot in seen for key in snapshot}:
        values = [snapshot.get(key) for snapshot in seen]
        begins = [n for n in range(len(values)) if n == 0 or values[n] != values[n - 1]]
        for begin, end in zip(begins, [*begins[1:], None]):
            if values[begin] is not None:
                versions.add((key, begin, end, values[begin]))

    return versions


def _weight(seen: Sighting) -> tuple[int, bool]:
    return seen.at, seen.value is None
