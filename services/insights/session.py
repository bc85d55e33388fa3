"""Who is signed in to the console: a signed cookie that names an account, which is looked up at each request."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import Response

from services.insights.accounts import Account, Accounts
from services.insights.settings import InsightsSettings
from shared.errors import Refused
from shared.keys import SCOPES, Key, Role
from shared.security import BadLink, ExpiredLink, Signer

SIGNED_IN_FOR = timedelta(hours=12)


class Visitor(NamedTuple):
    """Who asks: with a key of their own, or in a role. `name` is "" for those who have not signed in."""

    key: Key
    role: Role | None = None
    name: str = ""


class Session(NamedTuple):
    """What the cookie says; `stamp` is that of the account's password."""

    account: str
    stamp: str
    id: str


AT_THIS_MACHINE = Visitor(Key(Role.reader, "", "", SCOPES[Role.reader]), Role.reader)


class FromElsewhere(Refused):
    """This form was not sent from a page of this console."""

    status = 403
    title = "Not allowed"


class SignedIn:
    """The cookie: `__Host-` and Secure where browsers come by https, never sent along from other sites."""

    def __init__(self, settings: InsightsSettings) -> None:
        self.accounts = Accounts(settings.api_key, settings.accounts_file)
        self._origin = settings.public_url_of("insights")
        self._secure = self._origin.startswith("https:")
        self._cookie = "__Host-leadline" if self._secure else "leadline"
        # Not what services take for a session: nobody can carry the cookie of a browser to one.
        self._signer = Signer("console", settings.secret)

    def session(self, request: HTTPConnection, now: datetime) -> Session | None:
        """None without a cookie of ours, and after its time."""
        try:
            return Session(*self._signer.read(request.cookies.get(self._cookie, ""), now))
        except (BadLink, ExpiredLink, TypeError):
            return None

    def visitor(self, session: Session) -> Visitor | None:
        """None for an account that is gone, and after a change of its password."""
        found = self.accounts.get(session.account)
        if found is None or found.stamp != session.stamp:
            return None
        return Visitor(Key(found.id, found.name, "", SCOPES[found.role], rep=found.rep), found.role, found.name)

    def remember(self, response: Response, account: Account, session_id: str, now: datetime) -> None:
        token = self._signer.sign([account.id, account.stamp, session_id], now + SIGNED_IN_FOR)
        seconds = int(SIGNED_IN_FOR.total_seconds())
        response.set_cookie(self._cookie, token, seconds, httponly=True, samesite="strict", secure=self._secure)

    def forget(self, response: Response) -> None:
        response.delete_cookie(self._cookie, httponly=True, samesite="strict", secure=self._secure)

    def check_origin(self, request: HTTPConnection) -> None:
        """Whether a page of ours has sent this form; browsers say so of each. Raises `FromElsewhere`."""
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        ours = (urlsplit(self._origin).netloc, request.headers.get("host"))
        if site not in (None, "same-origin") or origin is None or urlsplit(origin).netloc not in ours:
            raise FromElsewhere
