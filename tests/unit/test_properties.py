"""How the tests of properties run."""

from __future__ import annotations

from hypothesis import HealthCheck, settings


def test_no_property_fails_because_the_machine_stalled() -> None:
    usual = settings()
    assert usual.deadline is None
    assert HealthCheck.too_slow in usual.suppress_health_check
