"""Who is posting: a page with the publishable key of its site, or a server with a key that is for posting."""

from __future__ import annotations

import dataclasses
import ipaddress
from functools import lru_cache

from starlette.requests import Request

from services.capture.cors import origin_allowed
from services.capture.sites import Site, Sites
from shared.errors import Malformed, Refused, Unauthorised
from shared.keys import Key, Scope
from shared.security import allow, key_of


class NoKey(Unauthorised):
    """A key is needed: send the key of your site as `X-Site-Key`, or in a form as `site`."""


class NotAllowed(Refused):
    """This site key is not known."""

    status = 403
    title = "Not allowed"


@dataclasses.dataclass(frozen=True, slots=True)
class Sender:
    """A post with a `key` need not be of a site, and one of a site needs no key."""

    site: Site | None
    key: Key | None = None

    @property
    def trusted(self) -> bool:
        return self.key is not None

    @property
    def holder(self) -> str:
        """To whom idempotency keys belong."""
        return self.key.id if self.key else self.site.key if self.site else ""

    @property
    def site_name(self) -> str:
        return self.site.name if self.site else ""


async def sender_of(request: Request, sites: Sites, in_body: str | None = None) -> Sender:
    """Raises as `allow` for a key, `NoKey` where there is none at all, and `NotAllowed` for an unknown site key."""
    outside = request.headers.get("x-site-key") or (
        request.query_params.get("site") if request.scope["query_string"] else None
    )
    given = outside or in_body
    if "authorization" in request.headers:
        key = allow(key_of(request), Scope.post)
        return Sender(await _named(sites, given) if given else None, key)
    if not given:
        raise NoKey
    site = await sites.get(given)
    if site is None:
        raise NotAllowed
    # The middleware has looked at keys in the header and the query; it cannot see into bodies.
    if outside is None and (origin := request.headers.get("origin")) is not None:
        await _check_origin(sites, site, origin, request.headers.get("host", ""))
    return Sender(site)


async def _named(sites: Sites, given: str) -> Site:
    site = await sites.named(given)
    if site is None:
        raise Malformed(None, [("/site", "is neither the name nor a key of a site")])
    return site


async def _check_origin(sites: Sites, site: Site, origin: str, host: str) -> None:
    if not origin_allowed(origin, await sites.origins(site.key), host):
        raise NotAllowed("This site key is not for pages of this origin.")


def ip_prefix(request: Request) -> str:
    """The network of the caller, too wide to be one household's: /24, or /48 in IPv6."""
    return _network(request.client.host) if request.client else ""


@lru_cache(4096)
def _network(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ""
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))
