"""A feed that begins at the service's place of now: the place is kept although no row came."""

NEW = [[2, "new"], [3, "newer"]]


def test_the_first_place_is_kept_by_one_empty_batch_and_later_changes_come_once(seen):
    first, idle, changed, last = seen["journal"]

    assert first["rows"] == idle["rows"] == []
    assert first["logged"] == idle["logged"] == [0]
    assert changed["rows"] == last["rows"] == NEW
    assert changed["logged"] == last["logged"] == [0, 1]


def test_every_batch_is_committed_and_no_slice_stays(seen):
    for run in seen["journal"]:
        assert run["committed"] == run["logged"]
        assert run["slices"] <= 1
