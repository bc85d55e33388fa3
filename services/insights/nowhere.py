"""What a browser is shown at an address of the console where there is nothing; a program is told 404 as everywhere."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException

from services.insights.access import Reader
from services.insights.frame import PageRoute
from shared.errors import NotFound
from shared.keys import Scope
from shared.security import opened_by


class PageAddress(Convertor[str]):
    """Any address but those of the API, which answers in its own way."""

    regex = r"(?!v1(?:/|$)).*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("page", PageAddress())

# Included last, as it takes whatever is left.
router = APIRouter(route_class=PageRoute, include_in_schema=False)
_whoever_may_enter = Reader(Scope.card, or_rep=True)


@router.get("/{address:page}")
@opened_by("anyone")
async def nowhere(request: Request, address: str) -> Response:
    if "text/html" not in request.headers.get("accept", ""):
        raise HTTPException(404)
    await _whoever_may_enter(request)
    raise NotFound("There is no page at this address. A part of it may be missing.")
