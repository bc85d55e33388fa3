"""The card of a lead: all that is known of one person in one place, and how a submission changes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from msgspec.structs import replace

from services.capture.domain.submission import Submission
from shared.events.capture import CardChanged, Consent, ContactPoint, Touch

MOST_ANSWERS = 300
# The channel of what was imported and says no other.
IMPORTED = "import"
MOST_CONTACT_POINTS = 20


def begin(submission: Submission, now: datetime) -> CardChanged:
    """The first version of a card."""
    at = submission.activity.at
    return CardChanged(
        version=1,
        kind="organization" if submission.kind == "organization" else "person",
        name=submission.name,
        company=submission.company,
        contact_points=_contact_points([], submission),
        answers=dict(submission.answers),
        consent=_consent({}, submission),
        first_touch=submission.touch,
        last_touch=submission.touch,
        message=submission.message,
        language=submission.language,
        created_at=min(at, now),
        updated_at=now,
    )


def amend(card: CardChanged, submission: Submission, now: datetime) -> CardChanged:
    """The next version: what was said later wins, and what was said earlier but comes later fills only blanks."""
    at = submission.activity.at
    late = card.last_touch.at is not None and at < card.last_touch.at
    return replace(
        card,
        version=card.version + 1,
        kind="organization" if submission.kind == "organization" else card.kind,
        name=_later(card.name, submission.name, late),
        company=_later(card.company, submission.company, late),
        contact_points=_contact_points(card.contact_points, submission, late),
        answers=_answers(card.answers, submission.answers, late),
        consent=_consent(card.consent, submission),
        first_touch=_first(card.first_touch, submission.touch),
        last_touch=card.last_touch if late else submission.touch,
        message=_later(card.message, submission.message, late),
        language=_later(card.language, submission.language, late),
        updated_at=now,
    )


def _first(known: Touch, other: Touch) -> Touch:
    """The earlier one; but a fact that was brought in without a word of where from is no beginning: a deal, say."""
    if known.at is None:
        return known
    return min(known, other, key=lambda touch: (_is_silent(touch), _moment(touch)))


def _is_silent(touch: Touch) -> bool:
    said = touch.source or touch.medium or touch.campaign or touch.referrer or touch.click_ids
    return not said and touch.channel == IMPORTED


def came_first(card: CardChanged, touches: Sequence[Touch]) -> CardChanged:
    """The card with the earliest of these as its first touch, when it is earlier than the one it has."""
    earliest = min((touch for touch in touches if touch.at), key=_moment, default=None)
    if earliest is None or (card.first_touch.at and _moment(earliest) >= card.first_touch.at):
        return card
    return replace(card, first_touch=earliest)


def with_consent(card: CardChanged, purposes: list[str], granted: bool, source: str, at: datetime) -> CardChanged:
    """The card with these permissions given or taken back; the same card when none of them changes."""
    changed = [p for p in purposes if (old := card.consent.get(p)) is None or (old.granted != granted and old.at <= at)]
    if not changed:
        return card
    news = {p: Consent(granted, at, card.consent[p].text if p in card.consent else "", source) for p in changed}
    return replace(card, version=card.version + 1, consent=card.consent | news, updated_at=at)


def with_answer(card: CardChanged, name: str, answer: str, at: datetime) -> CardChanged:
    """The card with one answer more; the same card when it says so already."""
    if card.answers.get(name) == answer:
        return card
    return replace(card, version=card.version + 1, answers=card.answers | {name: answer}, updated_at=at)


def marketing_purposes(card: CardChanged, purpose: str) -> list[str]:
    """What somebody means who wants no more of `purpose`: that, and whatever else on the card is marketing by its name.

    Sites choose the names of their purposes, so `marketing` on the card and `marketing_email` in a mail are one wish.
    """
    alike = [p for p in card.consent if p.startswith("marketing")] if purpose.startswith("marketing") else []
    return sorted({purpose, *alike})


def _moment(touch: Touch) -> datetime:
    assert touch.at
    return touch.at


def _later(old: str, new: str, late: bool) -> str:
    return old if not new or (late and old) else new


def _answers(old: dict[str, str], new: dict[str, str], late: bool) -> dict[str, str]:
    room = MOST_ANSWERS - len(old)
    fresh = {name: answer for name, answer in new.items() if name not in old}
    kept = dict(list(fresh.items())[:room])
    return {**old, **kept} if late else {**old, **kept, **{n: a for n, a in new.items() if n in old}}


def _contact_points(old: list[ContactPoint], submission: Submission, late: bool = False) -> list[ContactPoint]:
    """The latest of a kind comes first: it is the one that is used."""
    points = list(old)
    pairs: tuple[tuple[Literal["email", "phone"], str], ...] = (
        ("phone", submission.phone),
        ("email", submission.email),
    )
    for kind, value in pairs:
        if not value:
            continue
        known = next((p for p in points if p.kind == kind and p.value == value), None)
        if late and (known or any(p.kind == kind for p in points)):
            points += [] if known else [ContactPoint(kind, value)]
        else:
            points = [known or ContactPoint(kind, value), *(p for p in points if p is not known)]
    return points[:MOST_CONTACT_POINTS]


def _consent(old: dict[str, Consent], submission: Submission) -> dict[str, Consent]:
    """What was said last of each purpose stands."""
    news = {
        purpose: Consent(said.granted, said.at or submission.activity.at, said.text, submission.site)
        for purpose, said in submission.consent.items()
    }
    return old | {p: new for p, new in news.items() if p not in old or old[p].at <= new.at}
