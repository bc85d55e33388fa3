"""The reps over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.sales import add_rep


async def test_a_rep_is_added_listed_and_changed(api: httpx.AsyncClient) -> None:
    given = {"name": "Anna Berg", "email": "anna@sales.example", "phone": "+46 8 1234", "products": ["loggers"]}
    added = await api.post("/v1/reps", json=given)
    assert added.status_code == 201
    rep = added.json()
    assert {key: rep[key] for key in given} == given
    assert (rep["capacity"], rep["active"], rep["fallback"], rep["holds"]) == (None, True, False, 0)
    changed = await api.patch(f"/v1/reps/{rep['rep_id']}", json={"active": False, "capacity": 5})
    assert changed.json() == rep | {"active": False, "capacity": 5}
    assert (await api.get("/v1/reps")).json() == {"items": [changed.json()], "next": None}
    assert (await api.patch(f"/v1/reps/{rep['rep_id']}", json={})).json() == changed.json()


async def test_at_most_one_rep_is_the_fallback_owner(api: httpx.AsyncClient) -> None:
    await add_rep(api, "Anna", fallback=True)
    ben = await add_rep(api, "Ben", fallback=True)
    cay = await add_rep(api, "Cay")
    assert await _fallbacks(api) == [ben]
    await api.patch(f"/v1/reps/{cay}", json={"fallback": True})
    assert await _fallbacks(api) == [cay]
    await api.patch(f"/v1/reps/{cay}", json={"fallback": False})
    assert await _fallbacks(api) == []


async def _fallbacks(api: httpx.AsyncClient) -> list[str]:
    return [rep["rep_id"] for rep in (await api.get("/v1/reps")).json()["items"] if rep["fallback"]]


async def test_reps_come_in_pages_in_the_order_in_which_they_came(api: httpx.AsyncClient) -> None:
    added = [await add_rep(api, f"Rep {number}") for number in range(5)]
    listed, cursor = list[str](), ""
    while cursor is not None:
        page = (await api.get("/v1/reps", params={"limit": 2, "cursor": cursor})).json()
        listed += [rep["rep_id"] for rep in page["items"]]
        cursor = page["next"]
    assert listed == added


async def test_an_address_belongs_to_one_rep(api: httpx.AsyncClient) -> None:
    await add_rep(api, "Anna")
    ben = await add_rep(api, "Ben")
    twin = await api.post("/v1/reps", json={"name": "Other", "email": "ANNA@sales.example"})
    assert (twin.status_code, twin.json()["title"]) == (409, "Rep exists")
    taken = await api.patch(f"/v1/reps/{ben}", json={"email": "anna@sales.example"})
    assert (taken.status_code, taken.json()["title"]) == (409, "Rep exists")


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"email": "a@b.example"}, "/name"),
        ({"name": "", "email": "a@b.example"}, "/name"),
        ({"name": "A\nB", "email": "a@b.example"}, "/name"),
        ({"name": "Anna"}, "/email"),
        ({"name": "Anna", "email": "anna"}, "/email"),
        ({"name": "Anna", "email": "a@b.example, c@d.example"}, "/email"),
        ({"name": "Anna", "email": "a@b.example\nBcc: c@d.example"}, "/email"),
        ({"name": "Anna", "email": "a@b.example", "capacity": -1}, "/capacity"),
        ({"name": "Anna", "email": "a@b.example", "products": [""]}, "/products/0"),
        ({"name": "Anna", "email": "a@b.example", "turn": 5}, "/turn"),
    ],
)
async def test_a_rep_that_cannot_be_read_is_refused_with_its_place(
    api: httpx.AsyncClient, given: dict[str, Any], where: str
) -> None:
    answer = await api.post("/v1/reps", json=given)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [where]


async def test_a_rep_that_is_not_there_cannot_be_changed(api: httpx.AsyncClient) -> None:
    assert (await api.patch(f"/v1/reps/{uuid4()}", json={"active": False})).status_code == 404
