"""How a mail of a journey is written: its words, its headers, and the link that ends it all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from uuid import UUID

from jinja2 import Environment, StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from services.nurture.claims import Claim
from services.nurture.domain.journey import Journey, MailStep
from services.nurture.domain.naming import called
from services.nurture.journey_files import BadJourney
from shared.mail import compose
from shared.pages import Mail, line
from shared.security import BadLink, Signer

# Whoever writes a journey writes a subject, not a program.
_subjects = SandboxedEnvironment(undefined=StrictUndefined)


@dataclass(frozen=True, slots=True)
class Unsubscription:
    """What an unsubscribe link stands for: which mail it was in, and whose address that went to, blinded."""

    touch_id: UUID
    fingerprint: str
    purpose: str


class Links:
    """Unsubscribe links. They hold no address and never expire: a mail may be opened years later."""

    def __init__(self, public_url: str, secret: bytes) -> None:
        self._base = public_url
        self._signer = Signer("unsubscribe", secret)

    def unsubscribe(self, claim: Claim) -> str:
        token = self._signer.sign([claim.touch.touch_id.hex, claim.fingerprint, claim.touch.purpose])
        return f"{self._base}/u/{token}"

    def read(self, token: str, now: datetime) -> Unsubscription:
        """Raises `BadLink`."""
        try:
            touch, fingerprint, purpose = self._signer.read(token, now)
            return Unsubscription(UUID(touch), fingerprint, purpose)
        except (TypeError, ValueError):
            raise BadLink from None


class Letters:
    """Writes the mails of journeys from the templates `<mail>.txt` and `<mail>.html` in `pages`."""

    def __init__(self, pages: Environment, sender: str, company: str, links: Links) -> None:
        self._pages = pages
        self._sender = sender
        self._company = company
        self._links = links

    def check(self, journeys: Iterable[Journey]) -> None:
        """Render every mail once, so that a missing template stops the start and not a mail. Raises `BadJourney`."""
        for journey in journeys:
            for step in journey.mails:
                try:
                    self._words(step, "Mara", "https://leads.example.com/u/token")
                except TemplateError as error:
                    what = f"{type(error).__name__}: {error.message}"
                    raise BadJourney(f"{journey.name}.yaml: the mail {step.name} cannot be written: {what}") from error

    def write(self, claim: Claim, step: MailStep, at: datetime) -> EmailMessage:
        """Raises ValueError where an address cannot stand in a header."""
        link = self._links.unsubscribe(claim)
        mail = self._words(step, called(claim.name), link)
        return compose(
            sender=self._sender,
            to=claim.email,
            subject=mail.subject,
            text=mail.text,
            html=mail.html,
            message_id=claim.message_id,
            at=at,
            # RFC 8058: together they let a mail program unsubscribe its reader by one POST, without asking further.
            headers={"List-Unsubscribe": f"<{link}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
        )

    def _words(self, step: MailStep, name: str, link: str) -> Mail:
        variables = {"company": self._company, "name": name, "unsubscribe": link}
        subject = line(_subjects.from_string(step.subject).render(variables))
        text, html = (self._pages.get_template(f"{step.name}.{kind}") for kind in ("txt", "html"))
        return Mail(subject, text.render(variables, subject=subject), html.render(variables, subject=subject))
