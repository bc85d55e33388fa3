"""A held event is released or passed over by somebody who says why, and the lead goes on in order."""

from __future__ import annotations

from uuid import UUID

import httpx
import pytest

from deploy.held import tend, tended, waiting
from shared.clock import uuid7
from shared.lifecycle import Stage
from tests.support import toys
from tests.support.line import Line
from tests.support.telling import leadline
from tests.support.toys import NOON, Toy, erase, said, speak


async def effects(hearer: Toy, lead: UUID) -> list[str]:
    async with hearer.database.connection() as connection:
        rows = await connection.fetch("SELECT word FROM scoring.effect WHERE lead_id = $1 ORDER BY number", lead)
    return [row["word"] for row in rows]


async def stage_of(hearer: Toy, lead: UUID) -> tuple[Stage | None, int]:
    async with hearer.leads.work([lead]) as work:
        standing = work.lead(lead).standing
        return standing.stage, standing.stage_seq


async def test_what_is_skipped_counts_as_heard_and_what_is_released_has_its_effect(speaker: Toy, hearer: Toy) -> None:
    skipped, released, dsn = uuid7(), uuid7(), hearer.settings.database_url
    await speak(speaker, [skipped, released], "cursed")
    await speak(speaker, [skipped, released], "fine")
    toys.broken.add("cursed")
    await hearer.consumer.take(await said(speaker))
    assert {(row.lead_id, row.reason) for row in await waiting(dsn)} >= {(skipped, "failed"), (released, "failed")}

    line = Line(dsn, None, "")
    answer = await leadline(line, "held", "skip", str(skipped), "--reason", "a rule that is gone", "--by", "Ida")
    assert "leads.activity seq 1 of scoring: skip" in answer
    await hearer.consumer.retry_due()  # looks by its own clock, which is not there yet
    assert "fine" not in await effects(hearer, skipped)
    toys.broken.clear()
    await tend(dsn, "", released, "release", "mended", "Ida", NOON)
    await line.fetch("UPDATE scoring.held SET retry_at = $1 WHERE retry_at IS NOT NULL", NOON)
    await hearer.consumer.retry_due()

    assert [word for word in await effects(hearer, skipped) if word in ("cursed", "fine")] == ["fine"]
    assert [word for word in await effects(hearer, released) if word in ("cursed", "fine")] == ["cursed", "fine"]
    assert await waiting(dsn) == []
    assert {(one.deed, one.lead_id, one.seq, one.reason, one.who) for one in await tended(dsn)} == {
        ("skip", skipped, 1, "a rule that is gone", "Ida"), ("release", released, 1, "mended", "Ida"),
    }  # fmt: skip
    shown = await leadline(line, "held", "list")
    assert "Nothing is held." in shown
    assert "skip by Ida: a rule that is gone" in shown
    # Brought once more, nothing happens twice, and what was skipped stays so.
    before = await effects(hearer, skipped)
    await hearer.consumer.take(await said(speaker))
    assert await effects(hearer, skipped) == before


async def test_a_skipped_stage_is_known_nonetheless(speaker: Toy, hearer: Toy) -> None:
    lead, dsn = uuid7(), hearer.settings.database_url
    await speak(speaker, [lead])
    toys.broken.add("stage")
    await hearer.consumer.take(await said(speaker))
    for number in (1, 2):
        assert [row.seq for row in await waiting(dsn) if row.reason == "failed"] == [number]
        await tend(dsn, "scoring", lead, "skip", "its handler is broken", "Ida", NOON)
        await hearer.consumer.retry_due()
    assert await stage_of(hearer, lead) == (Stage.registered, 2)
    assert [word for word in await effects(hearer, lead) if word != "card"] == ["page_viewed"]


async def test_a_program_skips_and_releases_what_failed_with_a_reason_that_is_kept(speaker: Toy, hearer: Toy) -> None:
    lead, dsn = uuid7(), hearer.settings.database_url
    await speak(speaker, [lead], "cursed")
    toys.broken.add("cursed")
    await hearer.consumer.take(await said(speaker))
    transport = httpx.ASGITransport(app=hearer.app(("api",)))
    key = {"Authorization": f"Bearer {hearer.settings.api_key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://scoring", headers=key) as api:
        for reason in ("", " ", "two\nlines", "x" * 201):
            refused = await api.post("/v1/held/skip", json={"lead_id": str(lead), "reason": reason})
            assert refused.status_code == 422, reason
        nobody = await api.post("/v1/held/release", json={"lead_id": str(uuid7()), "reason": "mended"})
        assert nobody.status_code == 404
        assert await tended(dsn) == []
        for deed in ("release", "skip"):
            given = await api.post(f"/v1/held/{deed}", json={"lead_id": str(lead), "reason": " ticket 812 "})
            assert (given.status_code, given.json()) == (202, {"events": 1})
            await hearer.consumer.retry_due()
            assert len(await waiting(dsn)) == (1 if deed == "release" else 0), "released, it failed again"
    assert {(one.deed, one.reason, one.who) for one in await tended(dsn)} == {
        ("skip", "ticket 812", "operator"), ("release", "ticket 812", "operator"),
    }  # fmt: skip


async def test_where_nothing_failed_nothing_is_skipped_and_an_erased_lead_leaves_no_reason(
    speaker: Toy, hearer: Toy
) -> None:
    lead, dsn = uuid7(), hearer.settings.database_url
    with pytest.raises(SystemExit, match="No failed event of lead"):
        await tend(dsn, "", lead, "skip", "no reason", "Ida", NOON)
    await speak(speaker, [lead], "cursed")
    toys.broken.add("cursed")
    await hearer.consumer.take(await said(speaker))
    await tend(dsn, "", lead, "release", "try", "Ida", NOON)
    await erase(speaker, lead)
    await hearer.consumer.take(await said(speaker))
    assert await tended(dsn) == []
    assert await waiting(dsn) == []
