"""By which channel somebody came, told from what the link, the referrer and the click ids say."""

from __future__ import annotations

from collections.abc import Collection, Mapping

CLICK_IDS: Mapping[str, str] = {
    "gclid": "paid_search",
    "gbraid": "paid_search",
    "wbraid": "paid_search",
    "msclkid": "paid_search",
    "dclid": "display",
    "fbclid": "social",  # put on every link that leaves Facebook, paid or not
    "ttclid": "paid_social",
    "twclid": "paid_social",
    "li_fat_id": "paid_social",
}
"""The click ids that are kept, and the channel each tells when nothing says it better."""

_MEDIA: Mapping[str, str] = {
    "cpc": "paid_search",
    "ppc": "paid_search",
    "paid": "paid_search",
    "paidsearch": "paid_search",
    "paid_search": "paid_search",
    "sem": "paid_search",
    "paid_social": "paid_social",
    "paidsocial": "paid_social",
    "cpm": "display",
    "banner": "display",
    "display": "display",
    "social": "social",
    "social_media": "social",
    "email": "email",
    "e_mail": "email",
    "newsletter": "email",
    "affiliate": "affiliate",
    "referral": "referral",
    "organic": "organic_search",
    "sms": "sms",
    "chat": "chat",
    "call": "call",
    "phone": "call",
}
OURS = frozenset({*_MEDIA.values(), *CLICK_IDS.values(), "direct", "import", "form"})
"""The channels that have a name here. A page may say another; that one stays on the card and out of the figures."""

_SOCIAL_SOURCES = frozenset({"facebook", "instagram", "linkedin", "twitter", "x", "tiktok", "youtube", "pinterest"})
_SEARCH_HOSTS = ("google.", "bing.", "duckduckgo.", "yahoo.", "ecosia.", "yandex.", "baidu.", "startpage.", "qwant.")
_SOCIAL_HOSTS = frozenset({
    "facebook.com", "instagram.com", "linkedin.com", "lnkd.in", "twitter.com", "x.com", "t.co", "tiktok.com",
    "youtube.com", "pinterest.com", "reddit.com", "vk.com", "xing.com", "threads.net",
})  # fmt: skip


def channel(medium: str, source: str, referrer_host: str, click_ids: Collection[str], own_host: str = "") -> str:
    """The channel in our words. `medium` and `source` are slugs; a referrer on the page's own host is no referrer."""
    if medium in _MEDIA:
        paid_social = _MEDIA[medium] == "paid_search" and source in _SOCIAL_SOURCES
        return "paid_social" if paid_social else _MEDIA[medium]
    for click_id in CLICK_IDS:
        if click_id in click_ids:
            return CLICK_IDS[click_id]
    if medium:
        return "other"
    if not referrer_host or referrer_host == own_host:
        return "direct"
    return _of_host(referrer_host)


def _of_host(host: str) -> str:
    if any(host.startswith(name) or f".{name}" in host for name in _SEARCH_HOSTS):
        return "organic_search"
    if any(host == name or host.endswith(f".{name}") for name in _SOCIAL_HOSTS):
        return "social"
    return "referral"
