"""How leads are found by what a person types: by the beginnings of words, whatever the accents and capitals."""

from __future__ import annotations

import re
import unicodedata

from services.insights.domain.person import Person

LONGEST_WORD = 60
MOST_WORDS = 8
_WORD = re.compile(r"[^\W_]+")
_PHONE = re.compile(r"\+?[\d\s()/.-]{4,}")
# Country codes have one to three digits, and people leave them out.
_COUNTRY_DIGITS = range(4)
# Letters that are not written as a letter with a sign, and yet typed without it.
_PLAIN = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})


def words_of(person: Person) -> str:
    """All by which this person can be found, parted by blanks."""
    words = {word for text in (person.name, person.company, person.email) for word in _words(text)}
    digits = re.sub(r"\D", "", person.phone)
    words |= {digits[cut:] for cut in _COUNTRY_DIGITS if len(digits) > cut + 3}
    return " ".join(sorted(words))


def query_of(text: str) -> str:
    """A tsquery that matches who has a word beginning so, for every word of `text`; "" where there is nothing to
    look for."""
    if _PHONE.fullmatch(text.strip()):
        digits = re.sub(r"\D", "", text).lstrip("0")
        return f"'{digits}':*" if digits else ""
    return " & ".join(f"'{word}':*" for word in _words(text)[:MOST_WORDS])


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text.casefold()).translate(_PLAIN)
    bare = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return [word[:LONGEST_WORD] for word in _WORD.findall(bare)]
