"""What tests say to a browser. Loading Playwright takes a second or two, which only who has a browser shall pay."""

from __future__ import annotations

from typing import Any


def expect(what: Any) -> Any:
    """Playwright's own `expect`, of a page or a locator."""
    from playwright.async_api import expect as expectation

    return expectation(what)
