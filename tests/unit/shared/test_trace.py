from __future__ import annotations

import pytest

from shared.trace import Trace, current_trace, traced, traceparent

GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_work_goes_on_in_the_trace_it_was_given_as_a_step_of_its_own() -> None:
    with traced(GIVEN) as trace:
        assert current_trace() is trace
        assert traceparent() == trace.traceparent
    assert trace.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert trace.span_id != "b7ad6b7169203331"
    assert trace.flags == "01"


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
    assert Trace.parse(header) is None
    with traced(header) as trace:
        assert Trace.parse(trace.traceparent) == trace


def test_a_later_version_may_say_more() -> None:
    assert Trace.parse(GIVEN.replace("00-", "01-", 1) + "-more") == Trace.parse(GIVEN)


def test_outside_there_is_no_trace_and_inside_another_the_outer_one_comes_back() -> None:
    assert current_trace() is None
    assert traceparent() == ""
    with traced(GIVEN) as outer:
        with traced() as inner:
            assert current_trace() is inner
        assert current_trace() is outer
    assert current_trace() is None
