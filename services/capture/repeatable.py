"""The same answer to the same request for a day: a key is claimed, looked up, and kept with its answer.

A claim is an advisory lock held to the end of the transaction. Who cannot have it learns that at once, so that a
request which another process is still answering delays nobody else of its batch.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.errors import Malformed

if TYPE_CHECKING:
    from shared.database import Connection

KEPT_FOR = timedelta(hours=24)
LONGEST_KEY = 255
# The first key of the advisory locks, used for nothing else in the database.
_LOCK = 7760


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
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


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    body_hash: bytes
    answer: str


async def claim(connection: Connection, keys: Sequence[Key]) -> list[bool]:
    """Whether each key is ours until the transaction ends; otherwise somebody else is using it right now."""
    if not keys:
        return []
    rows = await connection.fetch(
        """SELECT pg_try_advisory_xact_lock($1, lock) AS ours FROM unnest($2::int[]) WITH ORDINALITY AS w(lock, place)
           ORDER BY place""",
        _LOCK, [key.lock for key in keys],
    )  # fmt: skip
    return [row["ours"] for row in rows]


async def look_up(connection: Connection, keys: Sequence[Key], now: datetime) -> dict[Key, Kept]:
    """The answers given before. A statement after the claim's, to see what was committed while it was made."""
    if not keys:
        return {}
    # LATERAL with LIMIT: a plan made while the table was empty must not read all of it once it is full.
    rows = await connection.fetch(
        """SELECT w.place, r.body_hash, r.answer FROM unnest($1::text[], $2::text[]) WITH ORDINALITY
               AS w(holder, key, place)
           CROSS JOIN LATERAL (SELECT body_hash, answer FROM capture.repeatable
               WHERE holder = w.holder AND key = w.key AND answered_at > $3 LIMIT 1) r""",
        [key.holder for key in keys], [key.text for key in keys], now - KEPT_FOR,
    )  # fmt: skip
    return {keys[row["place"] - 1]: Kept(row["body_hash"], row["answer"]) for row in rows}


async def keep(connection: Connection, answers: Sequence[tuple[Key, bytes, str]], now: datetime) -> None:
    """`answers` are (key, hash of the body, answer). An answer older than a day gives way."""
    if not answers:
        return
    await connection.execute(
        """INSERT INTO capture.repeatable (holder, key, body_hash, answer, answered_at)
           SELECT holder, key, body_hash, answer, $5
           FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[]) AS n(holder, key, body_hash, answer)
           ORDER BY holder, key
           ON CONFLICT (holder, key) DO UPDATE SET body_hash = excluded.body_hash, answer = excluded.answer,
               answered_at = excluded.answered_at""",
        [key.holder for key, _, _ in answers],
        [key.text for key, _, _ in answers],
        [body_hash for _, body_hash, _ in answers],
        [answer for _, _, answer in answers],
        now,
    )


async def forget_old(connection: Connection, now: datetime, most: int = 5000) -> int:
    """Delete answers older than a day, `most` at a time; answers how many went."""
    done = await connection.execute(
        """DELETE FROM capture.repeatable WHERE ctid IN (
               SELECT ctid FROM capture.repeatable WHERE answered_at <= $1 LIMIT $2)""",
        now - KEPT_FOR, most,
    )  # fmt: skip
    return int(done.split()[-1])
