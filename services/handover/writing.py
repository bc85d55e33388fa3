"""What a rep reads: the mail of an offer, the page behind its link, and the rep's worklist."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.handover import offers
from services.handover.domain import words
from services.handover.links import Links
from services.handover.pages import FOLDER
from services.handover.settings import HandoverSettings
from shared.pages import Mail, line, templates

if TYPE_CHECKING:
    import asyncpg
    from jinja2 import Environment

_REASONS = [{"code": str(code), "label": label} for code, label in words.RETURN_LABELS.items()]


class Letters:
    """Rows are those of `offers.TOLD`."""

    def __init__(self, settings: HandoverSettings) -> None:
        self.links = Links(settings)
        self._company = settings.company
        self._zone = settings.timezone
        self._pages = templates(FOLDER, zone=settings.timezone)
        # Compiled now: the first lead of the day should not wait for it.
        for name in ("offer.html", "offer_mail.html", "offer_mail.txt", "worklist.html"):
            self._pages.get_template(name)

    def offer_mail(self, row: asyncpg.Record, now: datetime) -> Mail:
        return write_mail(
            self._pages,
            "offer_mail",
            company=self._company,
            rep=_rep(row["rep_name"]),
            now=now,
            offer=_offer(row, lambda at: words.on(at, self._zone), whole=True),
            phone=row["phone"] or None,
            deadline=row["due_at"],
            link=self.links.offer(row["offer_id"]),
            worklist=self.links.worklist(row["rep_id"]),
        )

    def offer_page(
        self, row: asyncpg.Record, now: datetime, *, values: Mapping[str, str] | None = None, error: str = ""
    ) -> str:
        """The page as the offer stands. A person's contact data are on it only while the lead is this rep's."""
        state = page_state(row)
        path = self.links.offer_path(row["offer_id"])
        return self._pages.get_template("offer.html").render(
            state=state,
            company=self._company,
            rep=_rep(row["rep_name"]),
            now=now,
            offer=None if state == "over" else _offer(row, _ago(now), whole=state == "accepted"),
            deadline=row["due_at"] if state == "open" else None,
            reasons=_REASONS,
            values=values or {},
            error=error,
            accept_url=f"{path}/accept",
            return_url=f"{path}/return" if row["stage"] in ("handed_over", "accepted", "opportunity") else "",
            contact=_contact(row) if state == "accepted" else None,
            due=None,
            ended={"at": row["ended_at"], "how": words.ended(row["state"])},
            worklist=self.links.worklist_path(row["rep_id"]),
            not_you="",
        )

    def dead_link(self, now: datetime) -> str:
        """For a link that is not ours, or whose lead was erased."""
        return self._pages.get_template("offer.html").render(
            state="over",
            company=self._company,
            rep=_rep("you"),
            now=now,
            offer=None,
            deadline=None,
            reasons=[],
            values={},
            error="",
            accept_url="",
            return_url="",
            contact=None,
            due=None,
            ended=None,
            worklist="",
            not_you="",
        )

    def worklist_page(self, rep_name: str, rows: Sequence[asyncpg.Record], now: datetime) -> str:
        return self._pages.get_template("worklist.html").render(
            company=self._company,
            rep=_rep(rep_name),
            now=now,
            next=self._next(rows[0], now) if rows else None,
            others=[self._other(row, now) for row in rows[1:]],
            total=rows[0]["total"] if rows else 0,
        )

    def _next(self, row: asyncpg.Record, now: datetime) -> dict[str, object]:
        holds = page_state(row) == "accepted"
        path = self.links.offer_path(row["offer_id"])
        shown = _offer(row, _ago(now), whole=holds)
        return {
            **shown,
            "lead_id": str(row["lead_id"]),
            "said": row["message"] if holds else "",
            "phone": (row["phone"] or "") if holds else "",
            "email": (row["email"] or "") if holds else "",
            "due": None if holds else row["due_at"],
            "state": "accepted" if holds else "offered",
            "accept_url": f"{path}/accept",
            "return_url": path,
        }

    def _other(self, row: asyncpg.Record, now: datetime) -> dict[str, object]:
        holds = page_state(row) == "accepted"
        shown = _offer(row, _ago(now), whole=holds)
        return {
            **{key: shown[key] for key in ("who", "organization", "why", "temperature")},
            "due": None if holds else row["due_at"],
            "address": self.links.offer_path(row["offer_id"]),
        }


def write_mail(pages: Environment, name: str, **variables: object) -> Mail:
    """The mail `name` as text and HTML, from `<name>.txt` and `<name>.html`; the subject is what the text one sets.

    A subject is one line whatever the variables hold, so that no name can add a header.
    """
    text = pages.get_template(f"{name}.txt").make_module(variables)
    return Mail(line(str(vars(text)["subject"])), str(text), pages.get_template(f"{name}.html").render(variables))


def _ago(now: datetime) -> Callable[[datetime], str]:
    return lambda at: words.ago(at, now)


def page_state(row: asyncpg.Record) -> str:
    """`open`, `accepted`, `returned` or `over`: an offer counts only while it is the lead's present one."""
    present = row["present_offer"] == row["offer_id"]
    if row["state"] == "open" and present:
        return "open"
    if row["state"] == "accepted" and present and row["owner"] == row["rep_id"]:
        return "accepted"
    return "returned" if row["state"] == "returned" else "over"


def _offer(row: Any, when: Callable[[datetime], str], *, whole: bool) -> dict[str, object]:
    """What an offer says of the lead: all of it, or what may be seen before somebody accepts."""
    state = offers.known(row)
    name, company = row["name"] or "", row["company"] or ""
    note = row["returned_note"] if whole else None
    return {
        "who": words.who(name if whole else words.cut(name), words.title(row["answers"] or {}), company),
        "organization": company,
        "stage": row["stage"],
        "temperature": row["temperature"],
        "score": row["score"],
        "wants": words.wants(state, row["product"]),
        "why": words.why_now(state, row["returned_because"], note, when),
        "why_you": words.why_you(row["why"]),
    }


def _contact(row: Any) -> dict[str, object]:
    name = words.who(row["name"] or "", "", row["company"] or "")
    return {"name": name, "phone": row["phone"] or None, "email": row["email"] or None}


def _rep(name: str) -> dict[str, str]:
    parts = name.split() or [""]
    initials = "".join(part[0] for part in (parts[0], *parts[1:][-1:]) if part).upper()
    return {"name": name, "first_name": parts[0], "initials": initials}
