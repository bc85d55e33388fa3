"""Every event says something in plain words, and nothing of what it says is personal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from services.insights.domain.line import line
from services.insights.domain.note import Noted, card_note, kept, person_of
from services.insights.domain.person import Person
from services.insights.domain.sentences import NOT_TOLD, SAYS, sentence
from services.insights.domain.words import REASONS, reason
from shared.events import handover, nurture
from shared.events.capture import ActivityRecorded, CardChanged, Consent, ContactPoint
from shared.events.codec import EVENTS
from shared.events.envelope import Event
from shared.events.privacy import ErasureDone
from shared.events.scoring import ScoreChanged
from shared.events.stage import StageChanged, TopReason
from shared.lifecycle import Stage
from shared.reasons import Reason

AT = datetime(2026, 3, 3, 10, tzinfo=UTC)


def did(activity: str, **said: Any) -> ActivityRecorded:
    return ActivityRecorded(activity=activity, **said)


def moved(to: str, why: str, **said: Any) -> StageChanged:
    return StageChanged(**{"from_": None, "to": to, "seq": 1, "cycle": 1, "reason": why} | said)


def scored(**said: Any) -> ScoreChanged:
    usual: dict[str, Any] = {"score": 57.0, "fit": 20.0, "engagement": 37.0, "grade": "B", "temperature": "warm"}
    return ScoreChanged(**usual | {"cycle": 1, "rules_version": 3} | said)


TOLD: list[tuple[Event, str]] = [
    (did("form_submitted"), "Sent a form"),
    (did("form_submitted", conversion_point="guide"), "Sent a form: guide"),
    (did("demo_requested"), "Asked for a demo"),
    (did("contact_requested", text_length=1240), "Asked to be contacted, 1,240 characters"),
    (did("newsletter_subscribed"), "Subscribed to the newsletter"),
    (did("asset_downloaded", asset="guide.pdf"), "Downloaded guide.pdf"),
    (did("asset_downloaded"), "Downloaded a file"),
    (did("page_viewed", path="/about"), "Looked at a page: /about"),
    (did("product_viewed", asset="freight logger"), "Looked at a product: freight logger"),
    (did("pricing_viewed"), "Looked at prices"),
    (did("webinar_registered", asset="Spoilage"), "Registered for the webinar Spoilage"),
    (did("webinar_attended", asset="Spoilage", duration_seconds=2760), "Came to the webinar Spoilage, 46 min"),
    (did("trial_started"), "Started a trial"),
    (did("chat_message", text_length=120), "Wrote in the chat, 120 characters"),
    (did("call", duration_seconds=42, outcome="call_back"), "Called, 42 s (call back)"),
    (did("sms"), "Sent a text message"),
    (did("email_reply"), "Answered a mail"),
    (did("purchase", value="18400.00", currency="EUR"), "Bought for €\u00a018,400"),
    (did("purchase", value="a lot", currency="EUR"), "Bought"),
    (did("flagged", reason="spam"), "Was flagged as spam"),
    (did("flagged", reason="wrong_number"), "Was flagged as wrong number"),
    (did("import_ended"), "Was brought in from elsewhere"),
    (did("quiz_taken"), "Quiz taken"),
    (moved("captured", "first_interest"), "Came in as a new lead: showed interest for the first time"),
    (moved("sql", "demo_requested"), "Became ready for sales (SQL): asked for a demo"),
    (moved("mql", "score_reached", score=44.4), "Became engaged (MQL): reached the score. Score 44"),
    (moved("customer", "purchase", value="99.5", currency="USD"), "Became a customer: bought for $\u00a099.50"),
    (moved("registered", "new_cycle", cycle=2), "Began cycle 2: a customer came again"),
    (moved("returned", "no_budget"), "Was returned by sales: has no budget"),
    (scored(), "Score 57 (warm)"),
    (
        scored(previous_score=32.0, top_reasons=[TopReason("demo", 25.0, "Asked for a demo"), TopReason("old", -4.1)]),
        "Score 57 (warm), +25.0: +25.0 asked for a demo, −4.1 old",
    ),
    (
        scored(previous_score=72.0, top_reasons=[TopReason("demo", 25.0, "Asked for a demo")]),
        "Score 57 (warm), −15.0; what still counts most: +25.0 asked for a demo",
    ),
    (nurture.Enrolled(journey="welcome"), "Began the journey 'welcome'"),
    (nurture.Sent(journey="welcome", step="hello"), "Mail 'hello' sent"),
    (nurture.Sent(journey="welcome", step="hello", channel="sms"), "Text message 'hello' sent"),
    (
        nurture.Deferred(journey="w", step="hello", reason="quiet_hours", until="2026-03-04T08:00:00Z"),
        "Mail 'hello' put off until 2026-03-04 08:00 UTC: quiet hours",
    ),
    (nurture.Deferred(journey="w", step="hello", reason="no_consent"), "Mail 'hello' not sent: no consent"),
    (nurture.Opened(journey="w", step="hello"), "Opened the mail 'hello'"),
    (nurture.Clicked(journey="w", step="hello", link="/prices"), "Clicked in the mail 'hello': /prices"),
    (nurture.Bounced(journey="w", step="hello"), "Mail 'hello' came back for good"),
    (nurture.Bounced(journey="w", step="hello", permanent=False), "Mail 'hello' came back for now"),
    (nurture.Unsubscribed(), "Unsubscribed from marketing email"),
    (nurture.Exited(journey="welcome", reason="stage_changed"), "Left the journey 'welcome': stage changed"),
    (handover.Offered(offer_id="1"), "Offered to a rep"),
    (
        handover.Offered(offer_id="1", attempt=2, due_at="2026-03-03T10:15:00Z"),
        "Offered to a rep (attempt 2), to answer by 2026-03-03 10:15 UTC",
    ),
    (handover.Accepted(), "A rep took the lead"),
    (handover.Returned(reason="no_need"), "A rep gave the lead back: has no need"),
    (handover.Expired(offer_id="1"), "The offer ran out unanswered"),
    (handover.Contacted(channel="phone", outcome="call_back"), "Sales made contact by phone: call back"),
    (handover.OpportunityOpened(value="5000", currency="EUR"), "A deal was opened, worth €\u00a05,000"),
    (handover.Won(value="5000", currency="SEK"), "The deal was won, worth SEK\u00a05,000"),
    (handover.Lost(reason="too_expensive"), "The deal was lost: found it too expensive"),
    (handover.Disqualified(reason="not_icp"), "Sales found this not to be a lead: does not fit the customer profile"),
    (handover.Fulfilled(), "The order was fulfilled"),
    (handover.Paid(value="5000", currency="GBP"), "The order was paid: £\u00a05,000"),
    (handover.Learned(about="budget", answer="partly", evidence="call"), "Learned about budget: partly (call)"),
    (ErasureDone(erasure_id="1", service="scoring"), "Scoring erased what it held"),
]


def test_every_event_has_a_sentence() -> None:
    assert set(SAYS) == set(EVENTS.values()) - NOT_TOLD
    assert {type(event) for event, _ in TOLD} == set(SAYS) - {CardChanged}


@pytest.mark.parametrize(("event", "said"), TOLD, ids=lambda value: value if isinstance(value, str) else "")
def test_an_event_is_told_as_it_is_kept(event: Event, said: str) -> None:
    data = msgspec.json.decode(msgspec.json.encode(kept(event)))
    assert sentence(event.type, data) == said
    assert msgspec.convert(data, type(event)) == event


@pytest.mark.parametrize("code", Reason)
def test_every_reason_has_words_of_its_own(code: Reason) -> None:
    assert REASONS[code]
    assert reason(code)[0].isupper()


@pytest.mark.parametrize("stage", Stage)
def test_every_stage_has_words_of_its_own(stage: Stage) -> None:
    said = sentence(StageChanged.type, kept(moved(stage, "manual")))
    assert not said.startswith("Came to ")
    assert said.endswith(": decided by a person")


def test_an_entry_of_a_newer_version_is_named_by_its_type() -> None:
    assert sentence("io.leadline.nurture.gift_wrapped.v2", {"anything": 1}) == "Gift wrapped"


CARD = CardChanged(
    version=1,
    name="Mara Lindqvist",
    company="Norrvik Logistics",
    contact_points=[ContactPoint("email", "mara@norrvik.example"), ContactPoint("phone", "+46701740642")],
    answers={"role": "Head of operations", "budget": "ten thousand", "empty": ""},
    consent={"marketing_email": Consent(True, AT), "phone": Consent(False, AT)},
    message="Two reefers lost in September",
)


def card_sentence(before: Person, noted: Noted, card: CardChanged, *, first: bool = False) -> str:
    return sentence(CardChanged.type, msgspec.to_builtins(card_note(before, noted, card, first=first)))


def test_a_first_card_is_told_by_what_was_left() -> None:
    assert card_sentence(Person(), Noted(), CARD, first=True) == (
        "Left a name, a company, an e-mail address, a phone number, a message and 2 answers; "
        "said yes to marketing email"
    )
    assert card_sentence(Person(), Noted(), CardChanged(version=1), first=True) == "A card was opened"


def test_a_later_card_is_told_by_what_changed() -> None:
    before = CardChanged(
        version=1,
        name="Mara Lindquist",
        contact_points=[ContactPoint("email", "mara@norrvik.example"), ContactPoint("phone", "+46701740642")],
        consent={"marketing_email": Consent(True, AT)},
    )
    noted = Noted(fields=["name", "email", "phone"], consent=before.consent)
    after = msgspec.structs.replace(
        before,
        name="Mara Lindqvist",
        contact_points=before.contact_points[:1],
        answers={"budget": "10k"},
        consent={"marketing_email": Consent(False, AT)},
    )
    assert card_sentence(person_of(before), noted, after) == (
        "Left an answer; changed the name; no longer has the phone number; said no to marketing email"
    )
    assert card_sentence(person_of(before), noted, before) == "The card was written anew"


def test_nothing_of_a_person_is_kept_in_the_timeline() -> None:
    note = msgspec.json.encode(card_note(Person("Old Name"), Noted(fields=["name"]), CARD, first=False)).decode()
    for word in ("Mara", "Norrvik", "norrvik", "4670", "Head of", "ten thousand", "reefers", "Old"):
        assert word not in note


def test_a_stage_change_on_the_page_has_its_chips_and_its_rule() -> None:
    move = moved("sql", "demo_requested", from_="mql", rule="requests.demo_requested", rule_version=17)
    told = line(StageChanged.type, kept(move), UTC)
    assert (told.summary, told.detail, told.frm, told.to) == (
        "Asked for a demo", "Rule Demo requested, version 17", "mql", "sql",
    )  # fmt: skip


def test_a_score_on_the_page_has_the_points_it_rose_by() -> None:
    told = line(ScoreChanged.type, kept(scored(previous_score=32.0, top_reasons=[TopReason("demo", 25.0)])), UTC)
    assert (told.summary, told.detail, told.points) == ("Score 57, warm", "+25.0 demo", 25.0)
    assert line(ScoreChanged.type, kept(scored()), UTC).points is None
    fell = line(ScoreChanged.type, kept(scored(previous_score=72.0, top_reasons=[TopReason("demo", 25.0)])), UTC)
    assert (fell.detail, fell.points) == ("Still counts most: +25.0 demo", -15.0)


def test_a_moment_on_the_page_is_told_in_its_timezone_on_the_second_line() -> None:
    stockholm = ZoneInfo("Europe/Stockholm")
    told = line(handover.Offered.type, kept(handover.Offered(offer_id="1", due_at="2026-03-03T10:15:00Z")), stockholm)
    assert (told.summary, told.detail) == ("Offered to a rep", "To answer by 3 Mar, 11:15")
    put_off = nurture.Deferred(journey="w", step="hello", reason="quiet_hours", until="2026-03-04T07:00:00Z")
    told = line(nurture.Deferred.type, kept(put_off), stockholm)
    assert (told.summary, told.detail) == ("Mail 'hello' not sent: quiet hours", "Tried again 4 Mar, 08:00")
    assert line(handover.Offered.type, kept(handover.Offered(offer_id="1")), stockholm).detail == ""
    assert line(handover.Offered.type, {"offer_id": "1", "due_at": "soon"}, stockholm).detail == "To answer by soon"


@pytest.mark.parametrize(
    ("move", "said"),
    [
        (moved("sql", "expired", from_="handed_over"), "Is ready for sales again (SQL): the offer ran out"),
        (moved("iql", "score_fell", from_="mql"), "Only wants information again (IQL): has been quiet"),
        (moved("mql", "hold_ended", from_="returned"), "Became engaged (MQL): the waiting time is over"),
        (moved("registered", "released", from_="disqualified"), "Was confirmed: was let in again"),
        (moved("handed_over", "offered", from_="sql"), "Was offered to a rep"),
        (moved("opportunity", "deal_opened", from_="accepted", score=83.0), "A deal is open. Score 83"),
    ],
)
def test_a_way_back_and_a_plain_step_are_told_as_such(move: StageChanged, said: str) -> None:
    assert sentence(StageChanged.type, kept(move)) == said
