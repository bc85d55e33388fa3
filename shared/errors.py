"""The three words in which Leadline says no. Each has one reaction at the edge and one at the consumer.

    Problem
    ├── Malformed       we cannot read this        422            the event is held with its reason
    ├── Refused         understood; the answer is  404, 409, ...  handled: recorded, never retried
    │   │               no
    │   ├── NotFound                               404
    │   └── Unauthorised                           401
    └── Unavailable     ask again later            503 + Retry-After   back off, keep the position

Anything else that is raised is a bug: 500, loudly. The docstring of a class is its message when none is given.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import ClassVar


class Problem(Exception):
    """Something went wrong."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str | None = None, **extra: object) -> None:
        """`detail` is said to the caller, so no personal data of others; `extra` become members of the answer."""
        self.detail = detail or inspect.cleandoc(type(self).__doc__ or "")
        self.extra = extra
        super().__init__(self.detail)


class Malformed(Problem):
    """The request could not be read."""

    status = 422
    title = "Unreadable request"

    def __init__(self, detail: str | None = None, problems: Sequence[tuple[str, str]] = (), **extra: object) -> None:
        """`problems` are (JSON pointer, what is wrong there), e.g. `("/activity/type", "is not a known type")`."""
        super().__init__(detail or "; ".join(f"{pointer} {why}" for pointer, why in problems) or None, **extra)
        self.problems = tuple(problems)


class Refused(Problem):
    """The request is understood, and the answer is no."""

    # `Refused("Sales owns this lead now.", owner="handover")` answers 409 with the member `owner`.
    status = 409
    title = "Refused"


class NotFound(Refused):
    """There is nothing here."""

    status = 404
    title = "Not found"


class Unauthorised(Refused):
    """A valid key is needed: send `Authorization: Bearer <key>`."""

    status = 401
    title = "Unauthorised"


class Unavailable(Problem):
    """This cannot be done right now; ask again."""

    status = 503
    title = "Unavailable"
    retry_after: ClassVar[int] = 1
    """Seconds, said in the header `Retry-After`."""
