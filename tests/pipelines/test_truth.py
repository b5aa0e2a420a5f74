"""The truth that SCD tables are compared with, itself compared with examples worked by hand."""

from pipelines.truth import Sighting, history, latest, snapshots


def _seen(*rows: tuple[int, str | None]) -> list[Sighting]:
    return [Sighting("k", at, value) for at, value in rows]


def test_versions_follow_each_other():
    seen = _seen((1, "a"), (3, "b"))

    assert latest(seen) == {"k": (3, "b")}
    assert history(seen) == {("k", 1, 3, "a"), ("k", 3, None, "b")}


def test_a_late_version_goes_where_it_belongs():
    seen = _seen((3, "b"), (1, "a"))

    assert latest(seen) == {"k": (3, "b")}
    assert history(seen) == {("k", 1, 3, "a"), ("k", 3, None, "b")}


def test_of_one_time_the_last_sighting_counts():
    seen = _seen((1, "a"), (1, "b"))

    assert latest(seen) == {"k": (1, "b")}
    assert history(seen) == {("k", 1, None, "b")}


def test_a_delete_ends_a_version_and_a_new_one_may_follow():
    seen = _seen((1, "a"), (2, None), (4, "b"))

    assert latest(seen) == {"k": (4, "b")}
    assert history(seen) == {("k", 1, 2, "a"), ("k", 4, None, "b")}


def test_what_comes_after_its_delete_stays_deleted():
    seen = _seen((2, None), (1, "a"))

    assert latest(seen) == {}
    assert history(seen) == {("k", 1, 2, "a")}


def test_a_version_of_the_time_of_its_delete_never_held():
    assert latest(_seen((2, "a"), (2, None))) == {}
    assert history(_seen((2, None), (2, "a"))) == set()


def test_snapshots_show_when_a_value_came_and_went():
    seen = [{"a": "1", "b": "1"}, {"a": "1"}, {"a": "2", "b": "1"}]

    assert snapshots(seen) == {
        ("a", 0, 2, "1"),
        ("a", 2, None, "2"),
        ("b", 0, 1, "1"),
        ("b", 2, None, "1"),
    }
