"""Whatever comes at the same moment, each request gets its own right answer, and each person is one lead."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from typing import Any

import asyncpg
import pytest

from services.capture import repeatable
from services.capture.repeatable import Key
from tests.support.capturing import OPERATOR, SITE, Capturing, at_once, capturing
from tests.support.set_clock import SetClock


@pytest.fixture
async def second(capture: Capturing, dsn: str, clock: SetClock) -> AsyncGenerator[Capturing]:
    """Another process of the same service, as far as the database can tell."""
    async with capturing(dsn, clock) as made:
        yield made


def keyed(key: str, headers: dict[str, str] = OPERATOR) -> dict[str, str]:
    return {**headers, "Idempotency-Key": key}


async def test_sixty_four_mixed_submissions_each_get_their_own_answer(capture: Capturing) -> None:
    posts: list[Any] = []
    for n in range(16):
        posts += [
            capture.post(OPERATOR, email=f"person{n}@norrvik.example", name=f"Person {n}"),
            capture.post(OPERATOR, email="mara@norrvik.example", fields={f"answer{n}": n}),
            capture.post(OPERATOR, email="not an address", name=f"Nobody {n}"),
            capture.post(keyed(f"key{n % 4}"), email=f"repeated{n % 4}@norrvik.example"),
        ]
    answers = await at_once(*posts)
    new, same, wrong, repeated = (answers[kind::4] for kind in range(4))

    assert Counter(answer.status_code for answer in answers) == {202: 48, 422: 16}
    assert all(answer.json()["created"] for answer in new)
    assert len({answer.json()["lead_id"] for answer in new}) == 16
    assert len({answer.json()["lead_id"] for answer in same}) == 1
    assert sum(answer.json()["created"] for answer in same) == 1
    assert len({answer.json()["submission_id"] for answer in same}) == 16
    assert {answer.json()["errors"][0]["pointer"] for answer in wrong} == {"/email"}
    assert Counter(answer.text for answer in repeated).most_common(4)[3][1] == 4
    card = await capture.card(same[0].json()["lead_id"])
    assert card["answers"] == {f"answer{n}": str(n) for n in range(16)}
    assert card["version"] == 16
    assert await capture.value("SELECT count(*) FROM capture.submission") == 36
    assert await capture.value("SELECT count(*) FROM capture.lead") == 21


async def test_they_share_commits_instead_of_making_one_each(capture: Capturing) -> None:
    before = await capture.value("SELECT pg_current_xact_id()::text::bigint")
    await at_once(*(capture.post(email=f"person{n}@norrvik.example") for n in range(64)))
    after = await capture.value("SELECT pg_current_xact_id()::text::bigint")
    assert after - before < 10


async def test_the_numbers_of_a_leads_events_are_without_gap_after_a_crowd(capture: Capturing) -> None:
    await at_once(*(capture.post(email=f"person{n % 5}@norrvik.example") for n in range(60)))
    rows = await capture.fetch(
        """SELECT lead_id, topic, array_agg(seq ORDER BY pos) AS seqs FROM bus.capture_log
           WHERE topic <> 'leads.card' GROUP BY lead_id, topic"""
    )
    assert len(rows) == 10
    assert all(row["seqs"] == list(range(1, len(row["seqs"]) + 1)) for row in rows)


async def test_the_same_key_gives_the_same_answer_and_another_body_is_refused(capture: Capturing) -> None:
    body = {"email": "mara@norrvik.example", "fields": {"a": "1", "b": "2"}}
    first = await capture.post(keyed("k1"), **body)
    again = await capture.post(keyed("k1"), fields={"b": "2", "a": "1"}, email="mara@norrvik.example")
    other = await capture.post(keyed("k1"), **body | {"name": "Mara"})
    assert (first.status_code, first.text) == (again.status_code, again.text)
    assert other.status_code == 422
    assert other.json()["type"] == "urn:leadline:problem:key-reused"
    assert await capture.value("SELECT count(*) FROM capture.submission") == 1


async def test_a_key_belongs_to_whom_it_came_from(capture: Capturing) -> None:
    body = {"email": "mara@norrvik.example"}
    first = await capture.post(keyed("k1", SITE), **body)
    second = await capture.post(keyed("k1", {"X-Site-Key": "pk_test_demo"}), **body)
    third = await capture.post(keyed("k1", OPERATOR), **body)
    assert len({answer.json()["submission_id"] for answer in (first, second, third)}) == 3


async def test_a_key_is_forgotten_after_a_day(capture: Capturing, clock: SetClock) -> None:
    from datetime import timedelta

    first = await capture.post(keyed("k1"), email="mara@norrvik.example")
    clock.advance(timedelta(hours=24, seconds=1))
    second = await capture.post(keyed("k1"), email="other@norrvik.example")
    assert second.status_code == 202
    assert first.json()["lead_id"] != second.json()["lead_id"]
    assert (await capture.post(keyed("k1"), email="other@norrvik.example")).text == second.text


async def test_a_refused_body_does_not_use_up_its_key(capture: Capturing) -> None:
    assert (await capture.post(keyed("k1"), email="mara")).status_code == 422
    assert (await capture.post(keyed("k1"), email="mara@norrvik.example")).status_code == 202


async def test_two_equal_requests_under_way_together_share_one_answer_and_a_different_one_is_refused(
    capture: Capturing,
) -> None:
    answers = await at_once(
        *(capture.post(keyed("k1"), email="mara@norrvik.example") for _ in range(20)),
        capture.post(keyed("k1"), email="other@norrvik.example"),
    )
    assert len({answer.text for answer in answers[:20]}) == 1
    assert [answer.status_code for answer in answers] == [202] * 20 + [422]
    assert await capture.value("SELECT count(*) FROM capture.submission") == 1


async def test_a_key_another_process_is_answering_is_told_409_and_delays_nobody_else(
    capture: Capturing, dsn: str
) -> None:
    holder = await asyncpg.connect(dsn)
    transaction = holder.transaction()
    await transaction.start()
    assert await repeatable.claim(holder, [Key("operator", "held")], capture.runtime.clock.now()) == [(True, None)]

    async def timed(post: Any) -> tuple[Any, float]:
        began = asyncio.get_running_loop().time()
        answer = await post
        return answer, asyncio.get_running_loop().time() - began

    (held, held_for), *others = await asyncio.gather(
        timed(capture.post(keyed("held"), email="held@norrvik.example")),
        *(timed(capture.post(keyed(f"free{n}"), email=f"free{n}@norrvik.example")) for n in range(20)),
    )
    assert held.status_code == 409
    assert held.headers["retry-after"] == "1"
    assert held.json()["type"] == "urn:leadline:problem:in-flight"
    assert {answer.status_code for answer, _ in others} == {202}
    assert max(seconds for _, seconds in others) < held_for

    await transaction.rollback()
    await holder.close()
    assert (await capture.post(keyed("held"), email="held@norrvik.example")).status_code == 202


async def test_an_answer_committed_while_its_key_was_being_claimed_is_given_again(
    capture: Capturing, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await capture.post(keyed("k1"), email="mara@norrvik.example")
    claim = repeatable.claim
    outdated = [repeatable.Claim(True, None)]

    async def claim_that_looks_too_early(connection: Any, keys: Any, now: Any) -> list[repeatable.Claim]:
        claims = await claim(connection, keys, now)
        return [outdated.pop()] if outdated else claims

    monkeypatch.setattr(repeatable, "claim", claim_that_looks_too_early)
    assert (await capture.post(keyed("k1"), email="mara@norrvik.example")).text == first.text
    assert outdated == []
    assert await capture.value("SELECT count(*) FROM capture.submission") == 1


async def test_a_key_that_two_processes_are_given_at_once_gets_one_answer_from_both(
    capture: Capturing, second: Capturing
) -> None:
    asked = [(one, n) for n in range(30) for one in (capture, second)]
    answers = list(await at_once(*(one.post(keyed(f"k{n}"), email=f"p{n}@norrvik.example") for one, n in asked)))
    for place, (one, n) in enumerate(asked):
        if answers[place].status_code == 409:
            answers[place] = await one.post(keyed(f"k{n}"), email=f"p{n}@norrvik.example")
    assert {answer.status_code for answer in answers} == {202}
    assert all(answers[n].text == answers[n + 1].text for n in range(0, 60, 2))
    assert await capture.value("SELECT count(*) FROM capture.submission") == 30


async def test_two_processes_that_meet_the_same_people_make_one_lead_of_each(
    capture: Capturing, second: Capturing
) -> None:
    rounds = 6
    for turn in range(rounds):
        answers = await at_once(
            *(
                one.post(OPERATOR, email=f"p{n}@norrvik.example", phone=f"+4670174{n:04}", fields={f"t{turn}": who})
                for n in range(40)
                for who, one in enumerate((capture, second))
            )
        )
        assert {answer.status_code for answer in answers} == {202}
    assert await capture.value("SELECT count(*) FROM capture.lead") == 40
    assert await capture.value("SELECT count(DISTINCT lead_id) FROM capture.identity") == 40
    assert await capture.value("SELECT min(version) FROM capture.lead") == 2 * rounds
    gaps = await capture.value(
        """SELECT count(*) FROM (SELECT lead_id, topic, max(seq) - count(*) AS gap FROM bus.capture_log
           WHERE topic <> 'leads.card' GROUP BY 1, 2) g WHERE gap <> 0"""
    )
    assert gaps == 0


async def test_two_processes_that_know_people_by_telephone_only_make_one_lead_of_each(
    capture: Capturing, second: Capturing
) -> None:
    for n in range(20):
        await capture.submit(email=f"p{n}@norrvik.example", phone=f"+4670174{n:04}")
    answers = await at_once(
        *(one.post(OPERATOR, phone=f"+4670174{n:04}") for n in range(20) for one in (capture, second))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["lead_id"] for answer in answers}) == 20
    assert await capture.value("SELECT count(*) FROM capture.lead") == 40
    assert await capture.value("SELECT count(*) FROM capture.review") == 20
