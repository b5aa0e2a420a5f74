"""Panics, stale handles and closes reach Spark as exceptions, and the JVM goes on."""


def test_a_panic_in_a_task_is_an_exception_and_the_next_query_succeeds(seen):
    assert "INTERNAL" in seen["panic"]
    assert "LakeflowException" in seen["panic"]
    assert seen["after_panic"] == seen["before"] > 0


def test_a_stale_handle_is_an_exception_and_the_next_query_succeeds(seen):
    assert "LakeflowException" in seen["stale"]
    assert seen["after_stale"] == seen["before"]


def test_a_cancelled_read_returns_within_two_seconds_and_the_next_query_succeeds(seen):
    assert not seen["cancelled"]["alive"]
    assert seen["cancelled"]["seconds"] < 2
    assert "cancelled" in seen["cancelled"]["error"]
    assert seen["after_cancelled"] == seen["before"]


def test_a_stopped_stream_returns_within_two_seconds_without_an_error(seen):
    assert seen["stopped"]["seconds"] < 2
    assert seen["stopped"]["error"] is None
    assert seen["after_stopped"] == seen["before"]


def test_a_reader_that_is_closed_early_leaves_nothing_open(seen):
    assert seen["few"] == 5
    assert seen["open_handles"] == 0


def test_the_jvm_found_no_fault_in_our_use_of_jni(seen):
    lines = seen["output"].splitlines()
    faults = [
        "\n".join(lines[number : number + 8])
        for number, line in enumerate(lines)
        if "FATAL ERROR in native method" in line or "WARNING in native method" in line
    ]

    assert [fault for fault in faults if "lakeflow" in fault or "FATAL" in fault] == []
