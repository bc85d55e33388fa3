"""The same answer to the same request for a day: a key is claimed, looked up, and kept with its answer.

A claim is an advisory lock held to the end of the transaction. Who cannot have it learns that at once, so that a
request which another process is still answering delays nobody else of its batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from shared.errors import Malformed, Unavailable

if TYPE_CHECKING:
    from shared.database import Connection

KEPT_FOR = timedelta(hours=24)
LONGEST_KEY = 255
# The first key of the advisory locks, used for nothing else in the database.
_LOCK = 7760


class Key(NamedTuple):
    """`holder` is the site key or the operator: a key is only known to whom it belongs."""

    holder: str
    text: str

    @classmethod
    def given(cls, holder: str, text: str | None) -> Key | None:
        """The key that came with a request, None when none did. Raises `Malformed`."""
        if text is None:
            return None
        if not 0 < len(text) <= LONGEST_KEY or not text.isprintable():
            raise Malformed(f"An Idempotency-Key has 1 to {LONGEST_KEY} characters that can be printed.")
        return cls(holder, text)

    @property
    def lock(self) -> int:
        digest = hashlib.blake2b(f"{self.holder}\0{self.text}".encode(), digest_size=4).digest()
        return int.from_bytes(digest, signed=True)


class Kept(NamedTuple):
    body_hash: bytes
    answer: str


class Claim(NamedTuple):
    """What became of the claim of a key: whether it is `ours` until the transaction ends, and the answer `kept`."""

    ours: bool
    kept: Kept | None


class Outrun(Unavailable):
    """Another process has kept an answer for one of the keys since we looked: begin anew."""


async def claim(connection: Connection, keys: Sequence[Key], now: datetime) -> list[Claim]:
    """Claim each key for this transaction. An answer committed while we do is not seen here; `keep` finds it."""
    if not keys:
        return []
    # LATERAL with LIMIT: a plan made while the table was empty must not read all of it once it is full.
    rows = await connection.fetch(
        """SELECT pg_try_advisory_xact_lock($1, w.lock) AS ours, r.body_hash, r.answer
           FROM unnest($2::int[], $3::text[], $4::text[]) WITH ORDINALITY AS w(lock, holder, key, place)
           LEFT JOIN LATERAL (SELECT body_hash, answer FROM capture.repeatable
               WHERE holder = w.holder AND key = w.key AND answered_at > $5 LIMIT 1) r ON true
           ORDER BY w.place""",
        _LOCK, [key.lock for key in keys], [key.holder for key in keys], [key.text for key in keys], now - KEPT_FOR,
    )  # fmt: skip
    return [
        Claim(row["ours"], None if row["answer"] is None else Kept(row["body_hash"], row["answer"])) for row in rows
    ]


async def keep(connection: Connection, answers: Sequence[tuple[Key, bytes, str]], now: datetime) -> None:
    """`answers` are (key, hash of the body, answer). An answer older than a day gives way; raises `Outrun`."""
    if not answers:
        return
    done = await connection.execute(
        """INSERT INTO capture.repeatable AS r (holder, key, body_hash, answer, answered_at)
           SELECT holder, key, body_hash, answer, $5
           FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[]) AS n(holder, key, body_hash, answer)
           ORDER BY holder, key
           ON CONFLICT (holder, key) DO UPDATE SET body_hash = excluded.body_hash, answer = excluded.answer,
               answered_at = excluded.answered_at WHERE r.answered_at <= $6""",
        [key.holder for key, _, _ in answers],
        [key.text for key, _, _ in answers],
        [body_hash for _, body_hash, _ in answers],
        [answer for _, _, answer in answers],
        now,
        now - KEPT_FOR,
    )
    if int(done.split()[-1]) < len(answers):
        raise Outrun


async def forget_old(connection: Connection, now: datetime, most: int = 5000) -> int:
    """Delete answers older than a day, `most` at a time; answers how many went."""
    done = await connection.execute(
        """DELETE FROM capture.repeatable WHERE ctid IN (
               SELECT ctid FROM capture.repeatable WHERE answered_at <= $1 LIMIT $2)""",
        now - KEPT_FOR, most,
    )  # fmt: skip
    return int(done.split()[-1])
