"""A journey file is used whole or not at all, and the refusal says where it is wrong."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from services.nurture.domain.journey import Delivery, Journey, MailStep
from services.nurture.journey_files import FOLDER, BadJourney, journey_of, read_journeys

WHOLE = """
journey: welcome
version: 2
purpose: marketing
enter: [registered, iql]
again: once_per_cycle
exit: [sql, customer]
steps:
  - mail: hello
    subject: Hello {{ name }}
  - wait: 36 hours
  - mail: again
    subject: Hello again
    delivery: at_least_once
"""


def test_a_whole_file_is_a_journey() -> None:
    assert journey_of(WHOLE) == Journey(
        name="welcome",
        version=2,
        purpose="marketing",
        enters=frozenset({"registered", "iql"}),
        exits=frozenset({"sql", "customer"}),
        mails=(
            MailStep("hello", "Hello {{ name }}"),
            MailStep("again", "Hello again", timedelta(hours=36), Delivery.at_least_once),
        ),
    )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("version: 2", "version: two"), "version"),
        (("version: 2", "version: 0"), "version"),
        (("version: 2\n", ""), "version"),
        (("version: 2", "version: 2\nversion: 3"), "said twice"),
        (("version: 2", "version: 2\nspeed: high"), "speed"),
        (("purpose: marketing", "purpose: Buy Now"), "purpose"),
        (("[registered, iql]", "[registered, warm]"), "warm"),
        (("[registered, iql]", "[]"), "enter"),
        (("[registered, iql]", "[captured, iql]"), "captured may not be written to"),
        (("[registered, iql]", "[registered, sql]"), "sql can not both enter and exit"),
        (("once_per_cycle", "always"), "again"),
        (("  - wait: 36 hours", "  - wait: 36 hours\n  - wait: 1 day"), "step 3 waits directly after another wait"),
        (("wait: 36 hours", "wait: soon"), "3 days"),
        (("wait: 36 hours", "wait: 0 days"), "3 days"),
        (("wait: 36 hours", "wait: 36 hours\n    subject: x"), "only takes `wait`"),
        (("wait: 36 hours", "wait: 36 hours\n    mail: x"), "either a `mail` or a `wait`"),
        (("mail: again", "mail: hello"), "names a mail twice"),
        (("mail: again", "mail: ../secrets"), "lower-case name"),
        (("subject: Hello again", ""), "needs a `subject`"),
        (("Hello {{ name }}", "'Hello {{ name'"), "subject"),
        (("Hello {{ name }}", '"Hello\\nBcc: all@example.com"'), "one line"),
        (("at_least_once", "twice"), "delivery"),
        (("journey: welcome", "journey: Welcome!"), "lower-case name"),
        (("steps:", "steps: []\nmore:"), "more"),
        (("journey: welcome", "journey: ["), "expected"),
    ],
)
def test_what_is_wrong_is_said(change: tuple[str, str], complaint: str) -> None:
    assert change[0] in WHOLE
    with pytest.raises(BadJourney, match=complaint):
        journey_of(WHOLE.replace(*change))


def test_a_journey_without_a_mail_or_with_a_wait_for_nothing_is_none() -> None:
    head = WHOLE[: WHOLE.index("steps:")]
    with pytest.raises(BadJourney, match="no mail"):
        journey_of(f"{head}steps: []")
    with pytest.raises(BadJourney, match="wait for nothing"):
        journey_of(f"{WHOLE}  - wait: 1 day")


def test_a_file_is_called_as_its_journey(tmp_path: Path) -> None:
    (tmp_path / "goodbye.yaml").write_text(WHOLE)
    with pytest.raises(BadJourney, match=r"goodbye\.yaml: .*must be goodbye"):
        read_journeys(tmp_path)


def test_the_journeys_that_come_along_are_whole() -> None:
    journeys = read_journeys(FOLDER)
    assert [mail.after for mail in journeys["welcome"].mails] == [timedelta(0), timedelta(days=3)]
    assert {mail.delivery for mail in journeys["welcome"].mails} == {Delivery.at_most_once}
