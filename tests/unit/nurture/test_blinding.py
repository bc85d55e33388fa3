from __future__ import annotations

from services.nurture.domain.blinding import fingerprint

SECRET, OLD_SECRET = b"s" * 32, b"o" * 32


def test_a_fingerprint_compares_addresses_but_only_with_the_secret() -> None:
    blinded = fingerprint("anna@example.com", SECRET)
    assert blinded == fingerprint("anna@example.com", SECRET)
    assert blinded != fingerprint("anna@example.org", SECRET)
    assert blinded != fingerprint("anna@example.com", OLD_SECRET)
    assert len(blinded) == 64
