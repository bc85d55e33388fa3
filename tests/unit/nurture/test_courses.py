"""When a lead enters a journey, goes on and leaves: decided in memory, without a database."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.nurture import courses, handlers
from services.nurture.domain.nurtured import Nurtured
from services.nurture.domain.person import Suppression
from services.nurture.domain.touch import OPEN, Fate, State, Touch
from services.nurture.journey_files import JOURNEYS
from services.nurture.repository import Repository
from shared.events.capture import ActivityRecorded, CardChanged, Consent, ContactPoint
from shared.events.envelope import Attributes, Envelope, Event
from shared.events.handover import Offered
from shared.events.nurture import Bounced, Deferred, Enrolled, Exited, Sent, Unsubscribed
from shared.events.stage import StageChanged
from shared.leads import Cause, Lead, Leads, Standing
from shared.lifecycle import Stage
from shared.reasons import Reason
from tests.support.set_clock import SetClock

START = datetime(2026, 3, 3, 10, tzinfo=UTC)
LEAD = UUID("0198c5f2-0000-7000-8000-000000000042")
FOR_EVER = datetime.max.replace(tzinfo=UTC)
DAY = timedelta(days=1)
WELCOME = (1, "welcome")
NO_LONGER_OURS = [
    "sql",
    "handed_over",
    "accepted",
    "opportunity",
    "customer",
    "returned",
    "lost",
    "disqualified",
]


@dataclass
class Course:
    """One lead in memory, told of things as the consumer would tell."""

    lead: Lead[Nurtured]
    clock: SetClock

    @staticmethod
    def begun() -> Course:
        clock = SetClock(START)
        said = frozenset({Enrolled, Sent, Deferred, Bounced, Unsubscribed, Exited})
        leads = Leads("nurture", cast("Any", None), Repository(), clock, said)
        return Course(Lead(leads, Standing(LEAD), Nurtured(), Cause(time=START), START), clock)

    @property
    def state(self) -> Nurtured:
        return self.lead.state

    @property
    def words(self) -> list[str]:
        return [type(envelope.data).__name__ for envelope in self.lead.saying]

    def tell(self, data: Event, history: bool = False) -> None:
        now = self.clock.now()
        seq = {"CardChanged": self.lead.standing.card_version, "StageChanged": self.lead.standing.stage_seq}
        envelope: Envelope[Any] = Envelope(
            id=UUID(int=len(self.lead.saying)),
            lead_id=LEAD,
            seq=seq.get(type(data).__name__, 0) + 1,
            attributes=Attributes(source="/test", time=now, recordedtime=now, history=history),
            data=data,
        )
        self.lead.begin(Cause.of(envelope, now), now)
        self.lead.adopt(envelope)
        hearing: dict[type[Event], Any] = {
            CardChanged: handlers.know_person,
            StageChanged: handlers.follow_stage,
            ActivityRecorded: handlers.start_after_import,
            Offered: handlers.make_way_for_sales,
        }
        hearing[type(data)](self.lead, envelope, now)

    def card(self, granted: bool | None = True, email: str = "mara@norrvik.example", history: bool = False) -> None:
        consent = {} if granted is None else {"marketing": Consent(granted=granted, at=self.clock.now())}
        points = [ContactPoint("email", email)] if email else []
        self.tell(CardChanged(version=1, contact_points=points, consent=consent), history)

    def move(self, to: str, reason: str = "manual", history: bool = False, cycle: int = 1, asked_for: str = "") -> None:
        frm = self.lead.standing.stage
        self.tell(
            StageChanged(from_=frm, to=to, seq=1, cycle=cycle, reason=reason, asked_for=asked_for), history=history
        )

    def send(self, fate: Fate = Fate.accepted) -> list[str]:
        """What the sender does with all that is due now: the steps it handled."""
        now = self.clock.now()
        due = [touch for touch in self.state.touches.values() if touch.state in OPEN and touch.due_at <= now]
        for touch in due:
            claimed = self.state.put(replace(touch, state=State.claimed, attempts=touch.attempts + 1))
            self.lead.begin(Cause(time=now), now)
            courses.settle(self.lead, claimed, fate, "why", now)
        return [touch.step for touch in due]

    def let_pass(self, time: timedelta) -> None:
        self.state.examined, now = True, self.clock.advance(time)
        if self.lead.timers.get(courses.NEXT_STEP, FOR_EVER) <= now:
            self._fire()

    def _fire(self) -> None:
        now, due = self.clock.now(), self.lead.timers.pop(courses.NEXT_STEP)
        self.lead.begin(Cause(time=now), now)
        handlers.next_step(self.lead, due, now)

    def enter_when_examined(self) -> None:
        """What the timer does that is due at once: it has the lead as it was saved and loaded again."""
        self.state.examined, now = True, self.clock.now()
        if self.lead.timers.get(courses.NEXT_STEP) == now:
            self._fire()

    def touch(self, step: str, cycle: int = 1) -> Touch:
        return self.state.touches[cycle, "welcome", step]

    def registered(self, **said: Any) -> Course:
        self.card(**said)
        self.move("captured")
        self.move("registered")
        self.enter_when_examined()
        return self


def test_a_registered_lead_that_agreed_enters_and_its_first_mail_is_due_at_once() -> None:
    course = Course.begun().registered()
    assert course.words == ["Enrolled"]
    assert course.touch("welcome").state is State.planned
    assert course.touch("welcome").due_at == START
    assert course.lead.timers == {}


def test_a_new_address_is_looked_up_among_the_suppressions_before_its_lead_enters() -> None:
    course = Course.begun()
    course.card()
    course.move("captured")
    course.move("registered")
    assert (course.words, course.lead.timers) == ([], {courses.NEXT_STEP: START})
    course.state.suppressions["marketing"] = Suppression(START, "unsubscribed")
    course.enter_when_examined()
    assert (course.words, course.state.enrolments) == ([], {})
    assert course.touch("welcome").reason == "unsubscribed"


def test_a_lead_that_moves_on_while_its_address_is_looked_up_does_not_enter() -> None:
    course = Course.begun()
    course.card()
    for stage in ("captured", "registered", "sql"):
        course.move(stage)
    course.enter_when_examined()
    assert (course.words, course.state.touches, course.state.enrolments) == ([], {}, {})


def test_a_captured_lead_is_not_written_to() -> None:
    course = Course.begun()
    course.card()
    course.move("captured")
    assert (course.words, course.state.touches) == ([], {})


def test_the_wait_begins_when_the_mail_before_it_was_sent() -> None:
    course = Course.begun().registered()
    course.let_pass(2 * DAY)
    course.send()
    assert course.lead.timers == {courses.NEXT_STEP: START + 5 * DAY}
    course.let_pass(3 * DAY)
    assert course.touch("second").due_at == START + 5 * DAY
    course.send()
    assert course.words == ["Enrolled", "Sent", "Sent", "Exited"]
    assert course.state.enrolments[WELCOME].ended_because == "completed"
    assert course.lead.timers == {}


@pytest.mark.parametrize(
    ("said", "reason"),
    [({"granted": False}, "no_consent"), ({"granted": None}, "no_consent"), ({"email": ""}, "no_address")],
)
def test_who_may_not_be_written_to_does_not_enter_and_the_reason_is_kept(said: dict[str, Any], reason: str) -> None:
    course = Course.begun().registered(**said)
    assert course.words == []
    assert (course.touch("welcome").state, course.touch("welcome").reason) == (State.skipped, reason)
    assert course.state.enrolments == {}


def test_a_consent_given_later_brings_the_lead_in() -> None:
    course = Course.begun().registered(granted=None)
    course.let_pass(DAY)
    course.card(granted=True)
    assert course.words == ["Enrolled"]
    assert course.touch("welcome").state is State.planned
    assert course.send() == ["welcome"]


def test_a_consent_given_while_sales_has_the_lead_brings_nobody_in() -> None:
    course = Course.begun().registered(granted=None)
    course.move("sql")
    course.card(granted=True)
    assert course.words == []


@pytest.mark.parametrize("stage", NO_LONGER_OURS)
def test_what_was_planned_is_skipped_when_the_lead_moves_on(stage: str) -> None:
    course = Course.begun().registered()
    course.move(stage)
    assert course.words == ["Enrolled", "Exited"]
    assert (course.touch("welcome").state, course.touch("welcome").reason) == (State.skipped, stage)
    assert course.send() == []


@pytest.mark.parametrize("stage", NO_LONGER_OURS)
def test_what_was_waited_for_is_skipped_when_the_lead_moves_on(stage: str) -> None:
    course = Course.begun().registered()
    course.send()
    course.move(stage)
    assert course.lead.timers == {}
    assert (course.touch("second").state, course.touch("second").reason) == (State.skipped, stage)
    assert isinstance(course.lead.saying[-1].data, Exited)
    assert course.lead.saying[-1].data.reason == stage


def test_moving_about_between_the_entry_stages_changes_nothing() -> None:
    course = Course.begun().registered()
    course.send()
    due = dict(course.lead.timers)
    for stage in ("iql", "mql", "iql"):
        course.move(stage)
    assert (course.words, course.lead.timers) == (["Enrolled", "Sent"], due)


def test_a_lead_that_comes_back_in_the_same_cycle_does_not_enter_again() -> None:
    course = Course.begun().registered()
    course.send()
    for stage in ("sql", "returned", "mql"):
        course.move(stage)
    assert course.words.count("Enrolled") == 1


def test_a_new_cycle_is_a_new_journey() -> None:
    course = Course.begun().registered()
    course.send()
    course.move("customer")
    course.move("registered", cycle=2)
    assert course.words == ["Enrolled", "Sent", "Exited", "Enrolled"]
    assert course.touch("welcome", cycle=2).state is State.planned
    assert course.touch("welcome", cycle=2).touch_id != course.touch("welcome").touch_id


def test_who_asked_for_a_call_gets_one_instead_of_a_journey() -> None:
    course = Course.begun()
    course.card()
    course.move("captured")
    course.move("registered", asked_for="demo_requested")
    course.move("sql")
    course.enter_when_examined()
    assert (course.words, course.state.touches) == ([], {})


def test_history_starts_nothing_and_ends_what_runs() -> None:
    course = Course.begun()
    course.card(history=True)
    course.move("captured", history=True)
    course.move("registered", history=True)
    course.move("iql", history=True)
    assert (course.words, course.state.touches) == ([], {})
    course.move("mql")  # decay, a year later: it was there before
    course.card(granted=True, email="mara@norrvik.example")
    assert course.words == []

    running = Course.begun().registered()
    running.move("customer", history=True)
    assert running.words == ["Enrolled", "Exited"]


def test_an_import_that_was_told_to_start_journeys_starts_them() -> None:
    course = Course.begun()
    course.card(history=True)
    course.move("captured", history=True)
    course.move("registered", history=True)
    course.tell(ActivityRecorded(activity="import_ended", judge=True), history=True)
    assert course.words == []
    course.tell(ActivityRecorded(activity="import_ended", judge=True))
    course.enter_when_examined()
    assert course.words == ["Enrolled"]


def test_a_consent_taken_back_on_the_card_ends_the_journey() -> None:
    course = Course.begun().registered()
    course.card(granted=False)
    assert course.words == ["Enrolled", "Exited"]
    assert course.touch("welcome").reason == "no_consent"


def test_an_offer_to_a_rep_ends_the_journey_also_before_the_stage_is_known() -> None:
    course = Course.begun().registered()
    course.clock.advance(DAY)
    course.tell(Offered(offer_id="1", rep="r"))
    assert course.words == ["Enrolled", "Exited"]
    assert course.touch("welcome").reason == "handed_over"
    course.move("sql")
    course.move("handed_over")
    assert course.words == ["Enrolled", "Exited"]


def test_an_offer_from_before_the_lead_entered_ends_nothing() -> None:
    course = Course.begun()
    course.card()
    for stage in ("captured", "sql", "handed_over", "returned"):
        course.move(stage)
    course.clock.advance(DAY)
    course.move("mql")
    course.enter_when_examined()
    course.clock.set(START)
    course.tell(Offered(offer_id="1", rep="r"))
    assert course.words == ["Enrolled"]


def test_do_not_contact_forbids_the_address() -> None:
    course = Course.begun().registered()
    course.clock.advance(DAY)
    course.move("disqualified", reason=Reason.do_not_contact)
    assert course.state.refusal("marketing") == "do_not_contact"
    assert course.state.changed.suppressions == {"marketing"}


def test_a_bounce_ends_the_journey_and_forbids_the_address() -> None:
    course = Course.begun().registered()
    course.send(Fate.bounced)
    assert course.words == ["Enrolled", "Bounced", "Exited"]
    assert course.state.refusal("marketing") == "bounced"
    assert course.touch("welcome").state is State.failed


@pytest.mark.parametrize("fate", [Fate.uncertain, Fate.refused_for_good, Fate.rehearsed])
def test_a_mail_that_did_not_get_through_does_not_hold_up_the_next(fate: Fate) -> None:
    course = Course.begun().registered()
    course.send(fate)
    course.let_pass(3 * DAY)
    assert course.send() == ["second"]


def test_a_mail_put_off_while_its_lead_left_is_not_tried_again() -> None:
    course = Course.begun().registered()
    claimed = course.state.put(replace(course.touch("welcome"), state=State.claimed, attempts=1))
    course.move("sql")
    assert course.touch("welcome").state is State.claimed
    courses.settle(course.lead, claimed, Fate.refused, "smtp_451", START)
    assert (course.touch("welcome").state, course.touch("welcome").reason) == (State.skipped, "sql")


def test_a_step_that_its_journey_no_longer_has_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    course = Course.begun().registered()
    course.send()
    welcome = JOURNEYS["welcome"]
    monkeypatch.setitem(JOURNEYS, "welcome", replace(welcome, version=2, mails=welcome.mails[:1]))
    course.let_pass(3 * DAY)
    assert course.state.enrolments[WELCOME].ended_because == "journey_changed"


def test_a_suppression_met_when_the_wait_is_over_ends_the_journey() -> None:
    course = Course.begun().registered()
    course.send()
    course.state.suppress("marketing", Suppression(START + DAY, "unsubscribed"))
    course.let_pass(3 * DAY)
    assert course.touch("second").reason == "unsubscribed"
    assert course.words == ["Enrolled", "Sent", "Exited"]


LIFE = st.lists(
    st.one_of(
        st.tuples(st.just("move"), st.sampled_from([*Stage])),
        st.tuples(st.just("cycle"), st.just("")),
        st.tuples(st.just("card"), st.sampled_from([True, False, None])),
        st.tuples(st.just("pass"), st.integers(0, 100)),
        st.tuples(st.just("send"), st.sampled_from([*Fate])),
    ),
    max_size=40,
)


@given(LIFE)
@settings(max_examples=150, deadline=None)
def test_whatever_happens_a_step_is_sent_once_and_a_journey_entered_once_per_cycle(life: list[tuple[str, Any]]) -> None:
    course, cycle = Course.begun(), 1
    course.card()
    for what, how in life:
        match what:
            case "move":
                course.move(how, cycle=cycle)
            case "cycle":
                cycle += 1
                course.move("registered", cycle=cycle)
            case "card":
                course.card(granted=how)
            case "pass":
                course.let_pass(timedelta(hours=how))
            case _:
                course.send(how)
        course.enter_when_examined()
        waiting = [one.waits_until for one in course.state.active() if one.waits_until is not None]
        assert course.lead.timers == ({courses.NEXT_STEP: min(waits)} if (waits := waiting) else {})
    said = [envelope.data for envelope in course.lead.saying]
    entered = Counter(data.cycle for data in said if isinstance(data, Enrolled))
    left = Counter(data.cycle for data in said if isinstance(data, Exited))
    assert set(entered.values()) <= {1}
    assert set(left.values()) <= {1}
    assert left.keys() <= entered.keys()
    sent = Counter(data.touch_id for data in said if isinstance(data, Sent))
    assert set(sent.values()) <= {1}
    running = {enrolment.cycle for enrolment in course.state.active()}
    for touch in course.state.touches.values():
        assert touch.state not in OPEN or touch.cycle in running
