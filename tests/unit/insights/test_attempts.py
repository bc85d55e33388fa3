"""How often somebody may try to sign in."""

from __future__ import annotations

import pytest

from services.insights import attempts
from services.insights.attempts import MOST_OF_ACCOUNT, MOST_OF_ADDRESS, MOST_OF_BOTH, WINDOW_SECONDS, Attempts


def tries(made: Attempts, number: int, account: str, address: str, now: float = 0.0) -> int:
    """How many of so many are let through."""
    return sum(made.begin(account.format(n), address.format(n), now) == 0 for n in range(number))


def test_an_account_may_be_tried_a_few_times_from_one_address_and_then_waits() -> None:
    made = Attempts()
    assert tries(made, 20, "hanne", "192.0.2.7") == MOST_OF_BOTH
    assert 0 < made.begin("hanne", "192.0.2.7", 60.0) <= WINDOW_SECONDS - 60 + 1
    assert made.begin("hanne", "192.0.2.8", 60.0) == 0
    assert made.begin("marek", "192.0.2.7", 60.0) == 0
    assert made.begin("hanne", "192.0.2.7", WINDOW_SECONDS + 1.0) == 0


def test_one_address_cannot_try_many_accounts_nor_many_addresses_one() -> None:
    assert tries(Attempts(), 300, "account {}", "192.0.2.7") == MOST_OF_ADDRESS
    assert tries(Attempts(), 300, "hanne", "192.0.2.{}") == MOST_OF_ACCOUNT


def test_a_right_password_forgets_the_wrong_ones_of_that_address() -> None:
    made = Attempts()
    for _ in range(10):
        assert tries(made, MOST_OF_BOTH, "hanne", "192.0.2.7") == MOST_OF_BOTH
        made.succeeded("hanne", "192.0.2.7")
    # Those before the right one still count against the address, as it may have guessed for others.
    assert tries(made, 100, "account {}", "192.0.2.7") == MOST_OF_ADDRESS - 10 * (MOST_OF_BOTH - 1)


def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "MOST_REMEMBERED", 50)
    made = Attempts()
    assert tries(made, 1000, "account {}", "192.0.2.{}") == 1000
    assert made.remembered <= 50
