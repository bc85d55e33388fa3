"""Whether a text is a contact point, and the one form in which the same contact point is always written.

A person is recognised by that form, so it folds what mail servers and telephone exchanges fold in practice:
`Anna@Example.COM` and `anna@example.com` are one mailbox, `030 901820` in Germany and `+49 30 901820` one telephone.
Reasons are sentences for the person who typed the text; they never repeat what was typed.
"""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, ValidationResult

LONGEST_ADDRESS = 320
"""Characters looked at: 64 before the @ and 255 after it (RFC 3696). The grammar then allows 254 octets in all."""

LONGEST_PHONE = 40
"""Characters looked at, with spaces and brackets. E.164 has 15 digits."""

_LONGEST_LOCAL = 64  # RFC 5321 4.5.3.1.1
_LONGEST_MAILBOX = 254  # RFC 5321 4.5.3.1.3, without its angle brackets
_DOMAINS_REMEMBERED = 16_384

# Pasted addresses carry these round them; line breaks are left in, since they mean that two fields ran together.
_PADDING = " \t\u00a0\u200b\u200c\u200d\u2060\ufeff"

_DOT_ATOM = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_HOST_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NOT_A_DOMAIN = "the part after the @ is not a domain name"

_PHONE = re.compile(
    r"(?:tel:)?[(（]?[+＋]?[\d\s().\[\]/\-‐-―−ー－／（）［］]+(?P<extension>[;,]?\s?(?:ext\.?|extension|x|#)[=:.]?\s?\d{1,7})?",
    re.IGNORECASE,
)


class NotAContactPoint(ValueError):
    """The text reaches nobody; `reason` says why, in words for the person who typed it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotAnAddress(NotAContactPoint):
    """The text is not an e-mail address to which the public internet could deliver."""


class NotAPhone(NotAContactPoint):
    """The text is not a telephone number that some country gives out."""


def normal_email(text: str) -> str:
    """The mailbox in lower case, its domain in the ASCII form that mail servers use.

    `"Anna.Ek@Bücher.Example "` gives `"anna.ek@xn--bcher-kva.example"`. Grammar only: no DNS is asked. Comments, quoted
    local parts, bare IP addresses and host names without a dot are refused, as are the names reserved by RFC 6761.
    Raises `NotAnAddress`.
    """
    if len(text) > LONGEST_ADDRESS:
        raise NotAnAddress(f"an address has at most {_LONGEST_MAILBOX} characters")
    address = text.strip(_PADDING).lower()
    local, at, domain = address.rpartition("@")
    if not at:
        raise NotAnAddress("there is no @ in it" if address else "it is empty")
    if "@" in local and '"' not in local:
        raise NotAnAddress("there is more than one @ in it")
    if len(local) <= _LONGEST_LOCAL and _DOT_ATOM.fullmatch(local):
        host, refusal = _host(domain)
        if refusal:
            raise NotAnAddress(refusal)
        if len(local) + 1 + len(host) > _LONGEST_MAILBOX:
            raise NotAnAddress(f"an address has at most {_LONGEST_MAILBOX} characters")
        return f"{local}@{host}"
    return _international(address)


def is_region(code: str) -> bool:
    """Whether it is the ISO 3166 code of a country with telephone numbers, in capitals: GB, and not UK."""
    return code in phonenumbers.SUPPORTED_REGIONS


def normal_phone(text: str, region: str | None = None) -> str:
    """The number in E.164, for example `"+4930901820"` for `"030 / 90 18 20"` in region `"DE"`.

    `region` is an ISO 3166 country code in either case, the country a number without a country code is dialled in;
    without it a number must start with `+` or `00`. An extension is left out: it is dialled after the call is taken.
    Raises `NotAPhone`.
    """
    if len(text) > LONGEST_PHONE:
        raise NotAPhone(f"a telephone number has at most {LONGEST_PHONE} characters")
    shape = _PHONE.fullmatch(text.strip(_PADDING))
    if shape is None:
        raise NotAPhone("it has signs in it that no telephone number has" if text.strip(_PADDING) else "it is empty")
    country = region.strip().upper() if region and region.strip() else None
    if country and not is_region(country):
        raise NotAPhone("its country is not a two-letter code that has telephone numbers")
    number = _parsed(shape[0].removesuffix(shape["extension"] or ""), country)
    if not phonenumbers.is_valid_number(number):
        raise NotAPhone(_why_no_number(number))
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


@lru_cache(maxsize=_DOMAINS_REMEMBERED)
def _host(domain: str) -> tuple[str, str]:
    """(domain in ASCII, "") or ("", reason). Remembered, as most addresses share few domains."""
    if domain.isascii() and len(domain) <= 253 and _HOST_NAME.fullmatch(domain):
        return _public(domain)
    try:
        return validate_email(f"x@{domain}", check_deliverability=False, strict=True).ascii_domain, ""
    except (EmailNotValidError, UnicodeError) as refusal:
        return "", _in_our_words(str(refusal))


def _public(host: str) -> tuple[str, str]:
    top = host.rpartition(".")[2]
    if top.isdigit():
        return "", "the part after the @ ends in a number, not in a top-level domain"
    if any(host == name or host.endswith("." + name) for name in SPECIAL_USE_DOMAIN_NAMES):
        return "", "the part after the @ is a reserved name that receives no mail"
    return host, ""


def _international(address: str) -> str:
    try:
        valid = validate_email(address, check_deliverability=False, strict=True)
    except (EmailNotValidError, UnicodeError) as refusal:
        raise NotAnAddress(_in_our_words(str(refusal))) from None
    host, refusal = _host(valid.ascii_domain)
    if refusal:
        raise NotAnAddress(refusal)
    return f"{valid.local_part}@{host}"


def _in_our_words(refusal: str) -> str:
    # IDNA's own words are code points and quote the label.
    if "IDNA" in refusal or "is invalid (" in refusal or "surrogate" in refusal:
        return _NOT_A_DOMAIN
    plain = refusal.replace("@-sign", "@").removesuffix(".")
    return plain[:1].lower() + plain[1:]


def _parsed(number: str, country: str | None) -> PhoneNumber:
    if country is None and number.startswith("00"):
        number = "+" + number[2:]
    try:
        return phonenumbers.parse(number, country)
    except NumberParseException as refusal:
        if (
            refusal.error_type == NumberParseException.INVALID_COUNTRY_CODE
            and country is None
            and number[:1] not in "+＋"
        ):
            raise NotAPhone("its country is not known: write it with the country code, as in +49") from None
        raise NotAPhone(_PARSE_REASONS.get(refusal.error_type, "it is not a telephone number")) from None


_PARSE_REASONS = {
    NumberParseException.INVALID_COUNTRY_CODE: "its country code does not exist",
    NumberParseException.TOO_SHORT_NSN: "it has too few digits",
    NumberParseException.TOO_SHORT_AFTER_IDD: "it has too few digits",
    NumberParseException.TOO_LONG: "it has too many digits",
}

_LENGTH_REASONS = {
    ValidationResult.TOO_SHORT: "it has too few digits",
    ValidationResult.TOO_LONG: "it has too many digits",
    ValidationResult.INVALID_COUNTRY_CODE: "its country code does not exist",
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "its area code is missing",
}


def _why_no_number(number: PhoneNumber) -> str:
    length = phonenumbers.is_possible_number_with_reason(number)
    return _LENGTH_REASONS.get(length, "no such number is given out in its country")
