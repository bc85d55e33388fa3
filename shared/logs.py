"""What goes into the logs and what never does: JSON on stdout, without personal data, keys or bodies."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import cast

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from shared.trace import traceparent

# A key with one of these words in it holds something of a person, or opens something; only its presence is logged.
_PRIVATE = re.compile(
    r"(^|_)(e?mail|phone|mobile|name|first|last|company|title|address|ip|body|text|note|message|subject|card|fields?|form"
    r"|content|query|url|referrer|cookie|authorization|password|secret|token|(api|site)_?key)s?(_|$)"
)
# Sentences are written by us under these keys only; under any other a text of several words is taken for a visitor's.
_SENTENCES = frozenset({"event", "error", "reason", "detail", "hint", "exception"})

_EMAIL = re.compile(r"[^\s@<>\"'(),;:]+@[^\s@<>\"'(),;:]+")
_PHONE = re.compile(r"(?<![\w-])\+?\(?\d(?:[\s()./-]?\d){8,14}(?![\w-])")
SELDOM_SECONDS = 30.0
_FIRST = ("timestamp", "level", "service", "event")
# Libraries quote the value they choke on; a lower-case identifier is more likely a column or a key of ours.
_QUOTED = re.compile(r"""(['"])(?![a-z_.]+\1).*?\1|(?<==)\(.*?\)""")


def configure_logs(service: str, console: bool | None = None) -> None:
    """Sends structlog and the standard library's loggers (uvicorn's too) to stdout as one JSON object a line.

    `console` writes them for reading instead; by default that is when a person is watching (stderr is a terminal).
    """
    in_console = sys.stderr.isatty() if console is None else console

    def say_where(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("service", service)
        if trace := traceparent():
            event["trace_id"] = trace.split("-")[1]
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        say_where,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        describe_exception,
        guard,
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
        if in_console
        else structlog.processors.JSONRenderer(serializer=_to_json)
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(seldom("aiokafka"))
    formatter = structlog.stdlib.ProcessorFormatter
    handler.setFormatter(formatter(processors=[formatter.remove_processors_meta, renderer], foreign_pre_chain=shared))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    # Its lines hold whole URLs, signed links among them; the http metrics count what it would.
    logging.getLogger("uvicorn.access").disabled = True
    for chatty in ("httpx", "httpcore", "aiokafka", "asyncio", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def seldom(library: str) -> Callable[[logging.LogRecord], bool]:
    """Lets one place in a library speak once in `SELDOM_SECONDS`: while Kafka is away its client never ceases to."""
    spoke: dict[tuple[str, int], float] = {}

    def may_speak(record: logging.LogRecord) -> bool:
        place = (record.pathname, record.lineno)
        again = record.name.startswith(library) and record.created - spoke.get(place, 0.0) < SELDOM_SECONDS
        if not again:
            spoke[place] = record.created
        return not again

    return may_speak


def describe_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """An exception as its type, the first line of its message without quoted values, and the places it passed."""
    given = event.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else sys.exc_info()[1] if given is True else None
    if isinstance(given, tuple):
        error = cast("tuple[object, BaseException | None, object]", given)[1]
    if error is not None:
        event["exception"] = _described(error)
        event["at"] = [f"{f.filename}:{f.lineno}:{f.name}" for f in traceback.extract_tb(error.__traceback__)[-12:]]
    return event


def guard(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The line as it may be written: what it is first, then its values without anything of a person."""
    ordered = sorted(event.items(), key=lambda item: _FIRST.index(item[0]) if item[0] in _FIRST else len(_FIRST))
    return {key: _shown(key, value) for key, value in ordered}


def _shown(key: str, value: object) -> object:
    if value is None or isinstance(value, (bool, int, float, date)):
        return value
    if _PRIVATE.search(key.lower()):
        return "[removed]"
    if isinstance(value, Mapping):
        return {str(k): _shown(str(k), v) for k, v in cast("Mapping[object, object]", value).items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_shown(key, one) for one in cast("Sequence[object]", value)]
    if isinstance(value, BaseException):
        return _described(value)
    text = _redacted(str(value))
    return text if key in _SENTENCES or (len(text.split()) <= 1 and len(text) <= 200) else "[text removed]"


def _redacted(text: str) -> str:
    return _PHONE.sub("[phone]", _EMAIL.sub("[email]", text)).strip()


def _described(error: BaseException) -> str:
    first_line = _QUOTED.sub("…", str(error).partition("\n")[0])
    return _redacted(f"{type(error).__name__}: {first_line}"[:300])


def _to_json(event: object, **_options: object) -> str:
    return msgspec.json.encode(event).decode()
