"""What a plain HTML form posts: flat names to the members of a submission."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl

import msgspec
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from services.capture.bodies import ActivityBody, LeadBody, SourceBody
from services.capture.domain.channel import CLICK_IDS
from services.capture.misread import place_of
from shared.errors import Malformed

MOST_ENTRIES = 300
_MOST_FILES = 20
_LONGEST_ENTRY = 64 * 1024
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

_PLAIN = frozenset({
    "email", "phone", "name", "company", "kind", "message", "language", "visitor_id", "submission_id", "site",
    "product", "website",
})  # fmt: skip
_NOT_ANSWERS = frozenset({"redirect", "page"})
_PARAMETERS = {"utm_source": "source", "utm_medium": "medium", "utm_campaign": "campaign"}
_TICKED = frozenset({"on", "yes", "true", "1"})


def is_form(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() in (URLENCODED, MULTIPART)


async def read_form(request: Request, raw: bytes) -> dict[str, str]:
    """The entries by name; a name that comes several times has its values joined. Raises `Malformed`."""
    if request.headers["content-type"].lower().startswith(MULTIPART):
        return _joined(await _multipart(request))
    try:
        return _joined(parse_qsl(raw.decode("utf-8", "replace"), True, max_num_fields=MOST_ENTRIES))
    except ValueError:
        raise Malformed(f"The form has more than {MOST_ENTRIES} entries.") from None


async def _multipart(request: Request) -> Iterable[tuple[str, str]]:
    """A file that was left out comes as an empty one."""
    limits = {"max_files": _MOST_FILES, "max_fields": MOST_ENTRIES, "max_part_size": _LONGEST_ENTRY}
    try:
        async with request.form(**limits) as entries:
            given = entries.multi_items()
    except HTTPException as error:
        raise Malformed(f"The form cannot be read: {error.detail}") from None
    if files := [(f"/{name}", "files are not taken here") for name, value in given if _is_file(value)]:
        raise Malformed("Some values cannot be taken.", files)
    return [(name, value) for name, value in given if isinstance(value, str)]


def _is_file(value: UploadFile | str) -> bool:
    return not isinstance(value, str) and bool(value.size or value.filename)


def _joined(entries: Iterable[tuple[str, str]]) -> dict[str, str]:
    form: dict[str, str] = {}
    for name, value in entries:
        form[name] = f"{form[name]}, {value}" if form.get(name) and value else form.get(name) or value
    return form


def lead_of(form: Mapping[str, str]) -> LeadBody:
    """The submission in a form; a name that Leadline does not know is an answer. Raises `Malformed`."""
    given = {name: value for name, value in form.items() if value.strip()}
    plain = {name: given[name] for name in _PLAIN & given.keys()}
    if "name" not in plain and (whole := f"{given.get('first_name', '')} {given.get('last_name', '')}".strip()):
        plain["name"] = whole
    try:
        return msgspec.convert(
            {
                **plain,
                "fields": _answers(given),
                "activity": _under("activity.", given),
                "source": _source(given),
                "consent": _consent(given),
            },
            LeadBody,
            strict=False,
        )
    except msgspec.ValidationError as error:
        members = (*ActivityBody.__struct_fields__, *SourceBody.__struct_fields__)
        raise Malformed("Some values cannot be read.", [place_of(str(error), members)]) from None


def flat_name(pointer: str) -> str:
    """What the form calls the member at a JSON pointer: `/activity/type` is `activity.type`."""
    return pointer.removeprefix("/").replace("/", ".").replace("~1", "/").replace("~0", "~")


def _under(prefix: str, given: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in given.items() if name.startswith(prefix)}


def _answers(given: Mapping[str, str]) -> dict[str, str]:
    ours = _PLAIN | _NOT_ANSWERS | _PARAMETERS.keys() | CLICK_IDS.keys()
    unknown = {
        name: value
        for name, value in given.items()
        if name not in ours and not name.startswith(("fields.", "activity.", "source.", "consent."))
    }
    return unknown | _under("fields.", given)


def _source(given: Mapping[str, str]) -> dict[str, object]:
    source = {_PARAMETERS[name]: given[name] for name in _PARAMETERS if name in given} | _under("source.", given)
    clicks = {name: given[name] for name in CLICK_IDS if name in given} | _under("source.click_ids.", given)
    plain: dict[str, object] = {n: v for n, v in source.items() if not n.startswith("click_ids.")}
    return plain | {"click_ids": clicks}


def _consent(given: Mapping[str, str]) -> dict[str, object]:
    """A box that was not ticked is not in the post at all: nothing was said, so nothing is taken back either."""
    said = _under("consent.", given)
    return {
        purpose: {"granted": ticked.lower() in _TICKED, "text": said.get(f"{purpose}.text", "")}
        for purpose, ticked in said.items()
        if not purpose.endswith(".text")
    }
