from __future__ import annotations

import pytest

from shared.trace import step, traced, traceparent

TRACE, SPAN, FLAGS = 1, 2, 3
GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_work_goes_on_in_the_trace_it_was_given_as_a_step_of_its_own() -> None:
    with traced(GIVEN) as trace:
        assert traceparent() == trace
    parts = trace.split("-")
    assert parts[TRACE] == "0af7651916cd43dd8448eb211c80319c"
    assert parts[SPAN] != "b7ad6b7169203331"
    assert parts[FLAGS] == "01"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        GIVEN.upper(),
        GIVEN + "\n",
        GIVEN + "-more",
        GIVEN.replace("00-", "ff-", 1),
        GIVEN.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
        GIVEN.replace("b7ad6b7169203331", "0" * 16),
    ],
)
def test_an_unreadable_header_starts_a_new_trace(header: str | None) -> None:
    with traced(header) as trace:
        version, trace_id, span, flags = trace.split("-")
    assert (version, flags) == ("00", "00")
    assert trace_id not in GIVEN
    assert (len(trace_id), len(span)) == (32, 16)
    assert step(trace).startswith(f"00-{trace_id}-")


def test_a_later_version_may_say_more() -> None:
    assert step(GIVEN.replace("00-", "01-", 1) + "-more").split("-")[TRACE] == GIVEN.split("-")[TRACE]


def test_outside_there_is_no_trace_and_inside_another_the_outer_one_comes_back() -> None:
    assert traceparent() == ""
    with traced(GIVEN) as outer:
        with traced() as inner:
            assert traceparent() == inner != outer
        assert traceparent() == outer
    assert traceparent() == ""
