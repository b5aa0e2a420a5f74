"""Random histories of records, as services show them: changes, ties, deletes, stale answers."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from pipelines.truth import Sighting

#: Seconds by which deletes may be ahead of changes.
AHEAD = 20


@dataclass
class Service:
    """What a service holds, and all that was ever seen of it.

    Attributes:
        random: where chance comes from.
        records: current versions: key to time and value.
        deleted: deletes so far: key and time.
        seen: sightings, in the order of the runs that made them.
    """

    random: random.Random
    records: dict[str, tuple[int, str]] = field(default_factory=dict)
    deleted: list[tuple[str, int]] = field(default_factory=list)
    seen: list[Sighting] = field(default_factory=list)
    _shown: set = field(default_factory=set)
    _last_deletes: dict[str, int] = field(default_factory=dict)

    def change(self, keys: list[str], now: int, span: int, *, deletes: bool):
        """Lets each of `keys` change or not, at times from `now - span` on, often the same.

        Deletes of records that do not return may be up to [`AHEAD`] seconds after all else.
        """
        for key in keys:
            if self.random.random() < 0.4:
                continue
            at = max(now - self.random.randrange(span), self._last(key))
            if deletes and key in self.records and self.random.random() < 0.4:
                del self.records[key]
                returns = self.random.random() < 0.5
                if not returns and self.random.random() < 0.5:
                    at = now + self.random.randrange(AHEAD)
                self.deleted.append((key, at))
                self._last_deletes[key] = at
                if returns:
                    again = at + self.random.randrange(2)
                    self.records[key] = (again, f"{key} again at {again}")
            else:
                self.records[key] = (at, f"{key} {self.random.random()}")

    def late(self, now: int) -> dict[str, tuple[int, str]]:
        """Versions that a service shows only after it has shown their deletes, where a reader must
        find them: they are not older than what it has read, and neither are their deletes."""
        newest = max([now, *(at for at, _ in self.records.values())])

        return {
            key: (self.random.randint(newest, at), f"{key} late {at}")
            for key, at in self._last_deletes.items()
            if at >= newest and key not in self.records and self.random.random() < 0.5
        }

    def show(self, stale: dict[str, tuple[int, str]] | None = None) -> dict[str, tuple[int, str]]:
        """What a reader finds now, which counts as seen: the records, some of them `stale`."""
        shown = self.records | (stale or {})
        for key, (at, value) in sorted(shown.items(), key=lambda item: item[1][0]):
            self._see(Sighting(key, at, value))
        for key, at in self.deleted:
            self._see(Sighting(key, at, None))

        return shown

    def _see(self, sighting: Sighting):
        if sighting not in self._shown:
            self._shown.add(sighting)
            self.seen.append(sighting)

    def _last(self, key: str) -> int:
        """A record never changes at a time before its last change or delete."""
        last, _ = self.records.get(key, (0, ""))

        return max(last, self._last_deletes.get(key, 0))


@dataclass
class Catalogue:
    """What a service holds that tells no times.

    Attributes:
        random: where chance comes from.
        records: values of the records that there are.
        seen: the records at each look at them.
    """

    random: random.Random
    records: dict[str, str] = field(default_factory=dict)
    seen: list[dict[str, str]] = field(default_factory=list)

    def change(self, keys: list[str]):
        """Lets each of `keys` change or not, then looks at all records."""
        for key in keys:
            chance = self.random.random()
            if chance < 0.3:
                self.records.pop(key, None)
            elif chance < 0.7:
                # Now and then a value returns.
                self.records[key] = f"{key} {self.random.randrange(3)}"
        self.seen.append(dict(self.records))
