"""The e-mail address decides who somebody is; a telephone only where neither side has an address."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tests.support.capturing import OPERATOR, Capturing

PHONE, OTHER_PHONE = "+46701740642", "+46701740699"


async def reviews(capture: Capturing) -> list[tuple[UUID, UUID, str]]:
    items = (await capture.client.get("/v1/reviews", headers=OPERATOR)).json()["items"]
    return [(UUID(one["lead_id"]), UUID(one["other_id"]), one["reason"]) for one in reversed(items)]


async def test_somebody_without_an_address_is_known_by_the_telephone(capture: Capturing) -> None:
    first = await capture.submit(phone=PHONE, name="Mara")
    assert await capture.submit(phone="0046 70 174 06 42") == first
    assert (await capture.card(first))["phone"] == PHONE


async def test_an_address_is_somebody_else_than_a_telephone_alone_and_both_are_named_for_review(
    capture: Capturing,
) -> None:
    caller = await capture.submit(phone=PHONE)
    writer = await capture.submit(email="mara@norrvik.example", phone=PHONE)
    assert caller != writer
    assert await reviews(capture) == [(writer, caller, "same_phone")]
    assert await capture.submit(phone=PHONE) == caller, "the caller is still the caller"


async def test_two_addresses_with_one_telephone_are_two_leads(capture: Capturing) -> None:
    first = await capture.submit(email="mara@norrvik.example", phone=PHONE)
    second = await capture.submit(email="erik@norrvik.example", phone=PHONE)
    assert first != second
    assert await reviews(capture) == [(second, first, "same_phone")]


async def test_a_conflict_joins_by_the_address_and_is_noted_once(capture: Capturing) -> None:
    mara = await capture.submit(email="mara@norrvik.example")
    erik = await capture.submit(email="erik@norrvik.example", phone=PHONE)
    for _ in range(3):
        assert await capture.submit(email="mara@norrvik.example", phone=PHONE) == mara
    assert await reviews(capture) == [(mara, erik, "same_phone")]
    assert await capture.value("SELECT count(*) FROM capture.lead") == 2
    assert (await capture.card(erik))["version"] == 1, "nothing merges by itself"


async def test_a_telephone_of_somebody_with_an_address_decides_nothing(capture: Capturing) -> None:
    writer = await capture.submit(email="mara@norrvik.example", phone=PHONE)
    caller = await capture.submit(phone=PHONE)
    assert caller != writer
    assert await reviews(capture) == [(caller, writer, "same_phone")]
    assert await capture.submit(phone=PHONE) == caller


async def test_a_telephone_that_comes_later_belongs_to_the_known_address(capture: Capturing) -> None:
    mara = await capture.submit(email="mara@norrvik.example")
    assert await capture.submit(email="mara@norrvik.example", phone=PHONE) == mara
    other = await capture.submit(email="erik@norrvik.example", phone=PHONE)
    assert await reviews(capture) == [(other, mara, "same_phone")]


async def test_reviews_come_in_pages(capture: Capturing) -> None:
    caller = await capture.submit(phone=PHONE)
    leads = [await capture.submit(email=f"p{n}@norrvik.example", phone=PHONE) for n in range(5)]
    seen: list[Any] = []
    cursor: str | None = None
    while True:
        query: dict[str, str | int] = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await capture.client.get("/v1/reviews", params=query, headers=OPERATOR)).json()
        seen += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert [UUID(one["lead_id"]) for one in seen] == leads[::-1]
    assert {UUID(one["other_id"]) for one in seen} == {caller}
    refused = await capture.client.get("/v1/reviews", params={"cursor": "made.up"}, headers=OPERATOR)
    assert refused.status_code == 422
