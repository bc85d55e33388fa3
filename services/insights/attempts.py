"""How often somebody may try to sign in: guessing is slow, and nobody can lock another person out from elsewhere."""

from __future__ import annotations

from collections import deque

WINDOW_SECONDS = 900
# An account from one address, any account from one address (an office shares one), an account from everywhere.
MOST_OF_BOTH, MOST_OF_ADDRESS, MOST_OF_ACCOUNT = 5, 50, 100
MOST_REMEMBERED = 20_000


class Attempts:
    """The failed ones of the last quarter of an hour, in this process. `now` is in seconds and never goes back."""

    def __init__(self) -> None:
        self._failed: dict[tuple[str, str], deque[float]] = {}

    def begin(self, account: str, address: str, now: float) -> int:
        """0 for a try that may be made, and counts as failed until it is said to be right; else the seconds to wait."""
        limits = _limits(account, address)
        wait = max(self._wait(key, most, now) for key, most in limits.items())
        if wait:
            return wait
        for key in limits:
            failed = self._failed.pop(key, None) or deque[float]()
            failed.append(now)
            self._failed[key] = failed
        while len(self._failed) > MOST_REMEMBERED:
            del self._failed[next(iter(self._failed))]
        return 0

    def succeeded(self, account: str, address: str) -> None:
        self._failed.pop((account, address), None)
        for key in (("", address), (account, "")):
            if failed := self._failed.get(key):
                failed.pop()

    @property
    def remembered(self) -> int:
        return len(self._failed)

    def _wait(self, key: tuple[str, str], most: int, now: float) -> int:
        failed = self._failed.get(key)
        while failed and failed[0] <= now - WINDOW_SECONDS:
            failed.popleft()
        if not failed or len(failed) < most:
            return 0
        return int(failed[0] + WINDOW_SECONDS - now) + 1


def _limits(account: str, address: str) -> dict[tuple[str, str], int]:
    return {(account, address): MOST_OF_BOTH, ("", address): MOST_OF_ADDRESS, (account, ""): MOST_OF_ACCOUNT}
