"""What scoring does with what it hears: count it, say the new score, and move the lead where it is scoring's turn."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from services.scoring.domain import counting
from services.scoring.domain.engagement import Fact
from services.scoring.domain.moments import moment
from services.scoring.domain.scored import Cycle, Past, Scored
from services.scoring.known import details_of, known_of
from services.scoring.verdict import conclude, is_above, note_stage
from shared.clock import uuid7
from shared.events.capture import ActivityRecorded, CardChanged
from shared.events.envelope import Envelope, Event
from shared.events.handover import Contacted, Learned
from shared.events.nurture import Bounced, Clicked, Opened, Unsubscribed
from shared.events.stage import StageChanged
from shared.leads import Lead, Recall

IMPORT_ENDED = "import_ended"

Change = Callable[[Scored], None]


def hear_card(lead: Lead[Scored], event: Envelope[CardChanged], now: datetime) -> None:
    """The card says who the lead is, which is its fit."""

    def weigh(scored: Scored) -> None:
        scored.card, scored.card_event = known_of(event.data), event.id
        known = counting.what_is_known(scored.card, scored.memory.learned)
        counting.weigh(scored, known, event.id, moment(event.time), uuid7)

    _hear(lead, event, now, weigh)


def hear_activity(lead: Lead[Scored], event: Envelope[ActivityRecorded], now: datetime) -> None:
    if event.data.judge or event.data.activity == IMPORT_ENDED:
        _judge(lead, now)
    else:
        _count(lead, event, now, event.data.activity)


def hear_opened(lead: Lead[Scored], event: Envelope[Opened], now: datetime) -> None:
    _count(lead, event, now, "email_opened")


def hear_clicked(lead: Lead[Scored], event: Envelope[Clicked], now: datetime) -> None:
    _count(lead, event, now, "email_clicked")


def hear_bounced(lead: Lead[Scored], event: Envelope[Bounced], now: datetime) -> None:
    _count(lead, event, now, "email_bounced")


def hear_unsubscribed(lead: Lead[Scored], event: Envelope[Unsubscribed], now: datetime) -> None:
    _count(lead, event, now, "unsubscribed")


def hear_contacted(lead: Lead[Scored], event: Envelope[Contacted], now: datetime) -> None:
    _count(lead, event, now, "sales_contacted")


def hear_learned(lead: Lead[Scored], event: Envelope[Learned], now: datetime) -> None:
    """A call taught something about who the lead is."""

    def learn(scored: Scored) -> None:
        at, data = moment(event.time), event.data
        # A card heard in the same batch is newer than the one that was loaded.
        card = _past(scored).card if scored.card is None else scored.card
        if at >= scored.memory.learned.get(data.about, (at, ""))[0]:
            scored.memory.learned[data.about] = (at, data.answer)
        counting.weigh(scored, counting.what_is_known(card, scored.memory.learned), event.id, at, uuid7)

    _hear(lead, event, now, learn)


def hear_stage(lead: Lead[Scored], event: Envelope[StageChanged], now: datetime) -> None:
    """Somebody else moved the lead, maybe to us: then scoring decides anew on all that it knows."""

    def follow(scored: Scored) -> None:
        if event.data.cycle > scored.memory.cycle:
            _past(scored)
            counting.begin_cycle(scored, _cycle(event), uuid7)
        note_stage(scored, event.data, moment(event.time))

    _hear(lead, event, now, follow)


def cooled(lead: Lead[Scored], due: datetime, now: datetime) -> None:
    """Decay may have taken the lead below a line."""
    new_rules = catch_up(lead)
    if new_rules or not is_above(lead, now):
        conclude(lead, now, new_rules=new_rules)


def hold_ended(lead: Lead[Scored], due: datetime, now: datetime) -> None:
    """A lead that points were not to move is judged again."""
    conclude(lead, now, new_rules=catch_up(lead))


def recount(lead: Lead[Scored], now: datetime) -> None:
    """Bring a lead up to the live rules, with all that follows."""
    if catch_up(lead):
        conclude(lead, now, new_rules=True)


def catch_up(lead: Lead[Scored]) -> bool:
    """Count a lead under the live rules; answers whether it was last counted under others."""
    scored = lead.state
    if scored.rules_version == scored.rules.version:
        return False
    counting.adopt_rules(scored, uuid7)
    return True


def _judge(lead: Lead[Scored], now: datetime) -> None:
    """The last word of an import: what history amounts to is decided once, as of now."""
    lead.state.memory.begun = True
    conclude(lead, now, new_rules=catch_up(lead))


def _count(lead: Lead[Scored], event: Envelope[Event], now: datetime, activity: str) -> None:
    fact = Fact(event.id, moment(event.time), activity, details_of(event.data))

    def count(scored: Scored) -> None:
        if not counting.comes_next(scored.memory, fact):
            _past(scored)
        counting.count(scored, fact, uuid7)

    _hear(lead, event, now, count)


def _hear(lead: Lead[Scored], event: Envelope[Event], now: datetime, change: Change) -> None:
    new_rules = catch_up(lead)
    scored, memory = lead.state, lead.state.memory
    memory.begun = memory.begun or not event.history
    at = moment(now) if memory.begun else max(moment(event.time), memory.as_of)
    score_before = None if new_rules else memory.fit_tenths + memory.interest.engagement(at)
    change(scored)
    conclude(lead, now, at=at, score_before=score_before, history=event.history, new_rules=new_rules)


def _past(scored: Scored) -> Past:
    """Everything recorded of the lead; asks for the lead to be loaded with it where it is not there."""
    if scored.past is None:
        raise Recall
    return scored.past


def _cycle(event: Envelope[StageChanged]) -> Cycle:
    return Cycle(event.data.cycle, moment(event.time), event.attributes.causationid)
