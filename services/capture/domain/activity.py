"""What a lead can do, as far as capture knows a word for it."""

from __future__ import annotations

ACTIVITY_TYPES = frozenset(
    {
        "form_submitted",
        "demo_requested",
        "contact_requested",
        "newsletter_subscribed",
        "asset_downloaded",
        "page_viewed",
        "product_viewed",
        "pricing_viewed",
        "webinar_registered",
        "webinar_attended",
        "trial_started",
        "chat_message",
        "call",
        "sms",
        "email_reply",
        "purchase",
        "flagged",
    }
)
"""The types every scoring rule, journey and report can count on."""
