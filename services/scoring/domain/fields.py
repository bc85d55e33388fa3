"""What is known of who a lead is, under the names that fit rules use."""

from __future__ import annotations

# `answers.<anything>` comes to these.
FIT_FIELDS = frozenset({
    "kind", "company", "language",
    "email.known", "email.kind", "email.domain", "email.verified", "phone.known", "phone.country", "phone.verified",
    "source.channel", "source.medium", "source.source", "source.campaign", "source.conversion_point",
    "learned.budget", "learned.authority", "learned.need", "learned.timeline",
})  # fmt: skip
ANSWERS = "answers."

MAIL_KINDS = frozenset({"business", "free", "disposable"})

FACT_FIELDS = frozenset({
    "activity", "asset", "path", "conversion_point", "channel", "medium", "source", "campaign", "outcome", "reason",
    "text_length", "duration_seconds", "value", "currency", "contact_valid",
})  # fmt: skip
"""What engagement rules may ask about an activity."""
