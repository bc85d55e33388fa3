"""What an installation is told by its environment. Read once at the start; nothing else looks at `os.environ`."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.currencies import CURRENCIES

# Values people leave standing in a copied example; a service that starts with one is open to whoever read it too.
SAMPLE_SECRETS = frozenset({"change-me", "changeme", "example", "leadline", "password", "secret", "your-key-here"})


class BadSettings(SystemExit):
    """A value is missing or wrong. Uncaught, it ends the process with code 1 and names each variable on stderr."""


def _like(pattern: str, example: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"must look like {example}")
        return value

    return AfterValidator(check)


def _own_secret(value: str) -> str:
    if value.lower().replace("_", "-") in SAMPLE_SECRETS or value.startswith("pk_"):
        raise ValueError("is a sample value, or a site's key; make one with `openssl rand -hex 32`")
    return value


WebAddress = Annotated[
    str, _like(r"https?://[^/?#\s]+(/[^?#\s]*)?", "https://leads.example.com"), AfterValidator(lambda a: a.rstrip("/"))
]
DatabaseAddress = Annotated[
    str,
    _like(r"postgres(ql)?(\+asyncpg)?://\S+", "postgresql://user:password@host:5432/database"),
    # SQLAlchemy's spelling and the short one mean the same server; inside there is one.
    AfterValidator(lambda address: "postgresql://" + address.partition("://")[2]),
]
MailAddress = Annotated[str, _like(r"smtps?://[^/?#\s]+/?", "smtp://user:password@host:587, or smtps:// for TLS")]
Brokers = Annotated[str, _like(r"[^\s,]+:\d{1,5}(,[^\s,]+:\d{1,5})*", "host:9092,host:9092")]
Secret = Annotated[str, AfterValidator(_own_secret)]
Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseSettings):
    """The settings all services share; a service's own are added by subclassing, with `env_prefix="CAPTURE_"`.

    Each may also be given as `<NAME>_FILE`, the path of a file holding the value, as container secrets are mounted.
    """

    model_config = SettingsConfigDict(
        env_ignore_empty=True, populate_by_name=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    # Values that hold passwords are kept out of repr, so that a traceback or a debug line cannot leak them.
    database_url: DatabaseAddress = Field(validation_alias="DATABASE_URL", repr=False)
    kafka_bootstrap_servers: Brokers | None = Field(None, validation_alias="KAFKA_BOOTSTRAP_SERVERS")
    # For clusters that others use too: stands before every topic and group name.
    kafka_prefix: str = Field("", validation_alias="KAFKA_TOPIC_PREFIX", pattern=r"^[A-Za-z0-9._-]*$")
    smtp_url: MailAddress | None = Field(None, validation_alias="SMTP_URL", repr=False)
    api_key: Secret = Field(validation_alias="LEADLINE_API_KEY", repr=False)
    given_secret: Secret | None = Field(None, validation_alias="LEADLINE_SECRET", repr=False)
    given_keys_file: Path | None = Field(None, validation_alias="LEADLINE_KEYS_FILE")
    timezone: ZoneInfo = Field(ZoneInfo("UTC"), validation_alias="LEADLINE_TIMEZONE")
    currency: Annotated[str, _like("|".join(CURRENCIES), "EUR")] = Field("EUR", validation_alias="LEADLINE_CURRENCY")
    public_url: WebAddress = Field("http://127.0.0.1", validation_alias="LEADLINE_PUBLIC_URL")
    data_dir: Path = Field(Path(".leadline"), validation_alias="LEADLINE_DATA_DIR")
    host: str = Field("127.0.0.1", validation_alias="LEADLINE_HOST")

    capture_port: Port = Field(8001, validation_alias="CAPTURE_PORT")
    scoring_port: Port = Field(8002, validation_alias="SCORING_PORT")
    nurture_port: Port = Field(8003, validation_alias="NURTURE_PORT")
    handover_port: Port = Field(8004, validation_alias="HANDOVER_PORT")
    insights_port: Port = Field(8005, validation_alias="INSIGHTS_PORT")

    capture_public_url: WebAddress | None = Field(None, validation_alias="CAPTURE_PUBLIC_URL")
    scoring_public_url: WebAddress | None = Field(None, validation_alias="SCORING_PUBLIC_URL")
    nurture_public_url: WebAddress | None = Field(None, validation_alias="NURTURE_PUBLIC_URL")
    handover_public_url: WebAddress | None = Field(None, validation_alias="HANDOVER_PUBLIC_URL")
    insights_public_url: WebAddress | None = Field(None, validation_alias="INSIGHTS_PUBLIC_URL")

    @property
    def secret(self) -> bytes:
        """32 bytes that sign links and blind suppressed addresses.

        Without LEADLINE_SECRET they follow from the operator's key, so set it before that key is ever changed: links
        in mails already sent, and the suppression list, hang on it.
        """
        if self.given_secret:
            return hashlib.sha256(self.given_secret.encode()).digest()
        return hmac.digest(self.api_key.encode(), b"leadline secret", "sha256")

    @property
    def keys_file(self) -> Path:
        """Where the keys beside the operator's are; there may be none."""
        return self.given_keys_file or self.data_dir / "keys.json"

    def port_of(self, service: str) -> int:
        """`port_of("scoring")` is 8002 unless SCORING_PORT says otherwise."""
        port: int = getattr(self, f"{service}_port")
        return port

    def public_url_of(self, service: str) -> str:
        """Where the outside finds a service, without a slash at the end.

        `<NAME>_PUBLIC_URL` when given (as behind a proxy), else the host of LEADLINE_PUBLIC_URL and the service's port:
        `http://127.0.0.1:8001` for capture.
        """
        own: str | None = getattr(self, f"{service}_public_url")
        if own:
            return own
        scheme, _, rest = self.public_url.partition("://")
        host = re.sub(r":\d+$", "", rest.partition("/")[0])
        return f"{scheme}://{host}:{self.port_of(service)}"

    @classmethod
    def load(cls) -> Self:
        """The settings of this process; BadSettings names every variable that is missing or wrong."""
        try:
            return cls(**cls._from_files())
        except ValidationError as error:
            lines = [f"  {cls._variable(str(e['loc'][0]))}: {_reason(e['type'], e['msg'])}" for e in error.errors()]
            raise BadSettings("Cannot start, these settings need attention:\n" + "\n".join(lines)) from None

    @classmethod
    def _from_files(cls) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for field in cls.model_fields:
            name = cls._variable(field)
            path = os.environ.get(f"{name}_FILE")
            if path and os.environ.get(name):
                raise BadSettings(f"Cannot start: {name} and {name}_FILE are both set; keep one")
            try:
                found |= {field: Path(path).read_text(encoding="utf-8").strip()} if path else {}
            except (OSError, UnicodeDecodeError) as error:
                raise BadSettings(f"Cannot start: {name}_FILE cannot be read ({type(error).__name__})") from None
        return found

    @classmethod
    def _variable(cls, place: str) -> str:
        """The environment variable of a field; `place` itself where it is none."""
        field = cls.model_fields.get(place)
        if field is None:
            return place
        return str(field.validation_alias or f"{cls.model_config.get('env_prefix', '')}{place}".upper())


def _reason(kind: str, message: str) -> str:
    return "is not set" if kind == "missing" else message.removeprefix("Value error, ")
