"""Rows made into submissions and facts, or refused with every reason at once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.capture.importing.lines import Place
from services.capture.importing.map_file import read_map
from services.capture.importing.mapping import BadRow, ImportedRow, RowMapper, bind
from services.capture.importing.reading import Row, Unreadable

STARTED = datetime(2026, 3, 1, 9, tzinfo=UTC)
NOW = "2026-03-01T09:00:00Z"

MAP = """
site: demo
unanswered: [Select, "-"]
replace:
  Source: {google: Google}
lead:
  email: "{Mail}"
  phone: ["{Mobile}", "{Phone}"]
  name: "{First} {Last}"
  company: "{Company}"
region: {column: Land, values: {Deutschland: DE, Sverige: SE}, otherwise: "{Land}"}
fields:
  job: "{Job}"
  path: "{{{Job}}}/{Land}"
source:
  source: "{Source}"
  medium: {column: Source, values: {Google: search}, otherwise: other}
activity:
  - {type: demo_requested, when: {Wish: [Demo, Vorführung]}}
  - {type: form_submitted, at: "{Date}", at_format: ["%d.%m.%Y", "%d.%m.%Y %H:%M"], asset: "{Wish}"}
activities:
  - type: purchase
    when: {Won: "yes", Amount: {at_least: 100, below: 5000}}
    at: ["{Won on}", "2025-12-24T18:00:00+01:00"]
    value: "{Amount}"
    currency: eur
  - {type: page_viewed, times: "{Visits}", at_most: 3}
  - {type: call, when: {Called: {answered: yes}}, duration_seconds: "{Called}", outcome: "{Job}"}
  - {type: flagged, when: {Job: {not: ["", Buyer]}}, reason: not_buyer}
consent:
  marketing: {granted: {News: ja}, refused: {News: nein}, text: "Send me news", at: "{News on}"}
  contact: {granted: {News: [ja, nein]}, text: "Call me"}
timezone: Europe/Berlin
"""

COLUMNS = (
    *("Mail", "Mobile", "Phone", "First", "Last", "Company", "Land", "Job", "Source", "Wish", "Date"),
    *("Won", "Won on", "Amount", "Visits", "Called", "News", "News on", "Spare"),
)


def mapper(text: str = MAP, columns: tuple[str, ...] = COLUMNS) -> RowMapper:
    return bind(read_map(text), columns, started=STARTED, zone=ZoneInfo("Asia/Tokyo"), region="US")


def a_row(columns: tuple[str, ...] = COLUMNS, /, **cells: str) -> Row:
    given = {name.replace("_", " "): cell for name, cell in cells.items()}
    assert given.keys() <= set(columns)
    return Row(7, tuple(given.get(column, "") for column in columns), "", Place(100, 7), Place(200, 8))


def taken(**cells: str) -> ImportedRow:
    found = mapper().row(a_row(**{"Mail": "anna@example.com", **cells}))
    assert isinstance(found, ImportedRow), found
    return found


def problems(**cells: str) -> list[tuple[str, str]]:
    found = mapper().row(a_row(**{"Mail": "anna@example.com", **cells}))
    assert isinstance(found, BadRow), found
    return list(found.problems)


def test_a_full_row_becomes_a_whole_submission() -> None:
    found = taken(
        Mail=" Anna@Example.com ", Phone="030 901820", First="Anna", Last=" Ek ", Company="Ek\n& Co", Source="google",
        Land="Deutschland", Job="Buyer", Wish="Brochure", Date="24.12.2025 18:30", News="JA", News_on="2025-01-02",
    )  # fmt: skip
    assert found.submission == {
        "email": "anna@example.com",
        "phone": "+4930901820",
        "name": "Anna Ek",
        "company": "Ek & Co",
        "fields": {"job": "Buyer", "path": "{Buyer}/Deutschland"},
        "source": {"channel": "import", "source": "Google", "medium": "search"},
        "activity": {"type": "form_submitted", "at": "2025-12-24T17:30:00Z", "asset": "Brochure"},
        "consent": {
            "marketing": {"granted": True, "text": "Send me news", "at": "2025-01-01T23:00:00Z"},
            "contact": {"granted": True, "text": "Call me"},
        },
    }
    assert found.activities == ()
    assert json.loads(json.dumps(found.submission)) == found.submission
    assert (found.line, found.end) == (7, Place(200, 8))


def test_what_is_not_answered_leaves_nothing() -> None:
    found = taken(First=" - ", Last="select", Company="-", Job="SELECT", Land="-", Source="-")
    assert found.submission == {
        "email": "anna@example.com",
        "source": {"channel": "import", "medium": "other"},
        "activity": {"type": "form_submitted", "at": NOW},
    }


def test_a_template_with_some_of_its_columns_keeps_those() -> None:
    assert taken(Last="Ek").submission["name"] == "Ek"
    assert taken(Land="Norge").submission["fields"] == {"path": "{}/Norge"}


def test_the_first_answered_of_several_values_is_taken() -> None:
    assert taken(Mobile="+46 70 174 06 05", Phone="+4930901820").submission["phone"] == "+46701740605"
    assert taken(Mobile="-", Phone="+4930901820").submission["phone"] == "+4930901820"


@pytest.mark.parametrize(
    ("land", "typed", "normal"),
    [
        ("Deutschland", "030 12345678", "+493012345678"),
        ("se", "08-465 004 00", "+46846500400"),
        ("", "(650) 253-0000", "+16502530000"),
    ],
)
def test_the_region_of_a_phone_comes_from_the_row_then_from_the_installation(
    land: str, typed: str, normal: str
) -> None:
    assert taken(Land=land, Phone=typed).submission["phone"] == normal


def test_the_first_activity_that_holds_made_the_lead() -> None:
    assert taken(Wish="vorführung", Date="nonsense").submission["activity"] == {"type": "demo_requested", "at": NOW}


def test_further_facts_are_said_when_they_hold() -> None:
    found = taken(Won="YES", Won_on="2025-06-01T10:00:00", Amount="€ 1,234.50", Visits="12", Called="90", Job="Boss")
    assert found.activities == (
        {"type": "purchase", "at": "2025-06-01T08:00:00Z", "value": "1234.50", "currency": "EUR"},
        *[{"type": "page_viewed", "at": NOW}] * 3,
        {"type": "call", "at": NOW, "outcome": "Boss", "duration_seconds": 90},
        {"type": "flagged", "at": NOW, "reason": "not_buyer"},
    )


def test_facts_without_a_time_of_their_own_happen_when_the_lead_was_made() -> None:
    found = taken(Date="01.02.2024", Visits="1", Won="yes", Amount="100")
    assert [activity["at"] for activity in found.activities] == ["2025-12-24T17:00:00Z", "2024-01-31T23:00:00Z"]


@pytest.mark.parametrize("amount", ["99.99", "5000", "", "many"])
def test_a_number_outside_its_bounds_does_not_hold(amount: str) -> None:
    assert taken(Won="yes", Amount=amount).activities == ()


@pytest.mark.parametrize("visits", ["", "0", "-3", "0.9"])
def test_a_fact_that_happened_no_times_is_not_said(visits: str) -> None:
    assert taken(Visits=visits).activities == ()


def test_a_time_in_the_future_is_the_start_of_the_import() -> None:
    assert taken(Date="01.01.2099").submission["activity"] == {"type": "form_submitted", "at": NOW}


def test_a_yes_without_its_date_counts_as_not_known_and_a_no_always_as_a_no() -> None:
    yes, no = taken(News="ja"), taken(News="nein")
    assert yes.submission["consent"] == {"contact": {"granted": True, "text": "Call me"}}
    assert yes.notes == ("consent.marketing: a yes without its date counts as not known",)
    assert no.submission["consent"] == {
        "marketing": {"granted": False, "text": "Send me news"},
        "contact": {"granted": True, "text": "Call me"},
    }
    assert "consent" not in taken(News="perhaps").submission


def test_every_problem_of_a_row_is_told_at_once_and_none_repeats_what_stands_there() -> None:
    found = problems(
        Mail="secret@", Phone="12secret", Date="secret", Won="yes", Amount="101", Won_on="1900-01-01", Visits="secret",
        Called="secret", Job="x" * 2001, First="y" * 201, News="ja", News_on="secret",
    )  # fmt: skip
    assert [where for where, _ in found] == [
        "email", "phone", "name", "fields.job", "fields.path", "activity[1].at", "activities[0].at",
        "activities[1].times", "activities[2].outcome", "activities[2].duration_seconds", "consent.marketing.at",
    ]  # fmt: skip
    assert "secret" not in str(found)


def test_a_row_that_reaches_nobody_is_refused() -> None:
    assert problems(Mail="") == [("contact", "it has neither an e-mail address nor a telephone number")]


def test_a_row_for_which_no_activity_holds_is_refused() -> None:
    rows = mapper('site: demo\nlead: {email: "{Mail}"}\nactivity: [{type: call, when: {Job: Boss}}]\n')
    found = rows.row(a_row(Mail="anna@example.com"))
    assert isinstance(found, BadRow)
    assert found.problems == (("activity", "none of the map's activities holds for this row"),)


@pytest.mark.parametrize(
    ("decimal", "amount", "value"),
    [
        ("point", "1,234.50", "1234.50"),
        ("point", "12,34,567", "1234567"),
        ("point", "1 234", "1234"),
        ("point", "USD 5", "5"),
        ("point", "1,5", None),
        ("point", "-5", None),
        ("point", "1e5", None),
        ("point", "٥", None),
        ("comma", "1.234,50 €", "1234.50"),
        ("comma", "1'234,5", "1234.5"),
        ("comma", "499 kr", "499"),
        ("comma", "1.5", None),
    ],
)
def test_money_is_read_as_the_country_writes_it_and_never_by_guess(
    decimal: str, amount: str, value: str | None
) -> None:
    text = f'site: demo\ndecimal: {decimal}\nlead: {{email: "{{Mail}}"}}\n'
    text += 'activities: [{type: purchase, value: "{Amount}", currency: "{Land}"}]\n'
    found = mapper(text).row(a_row(Mail="a@example.com", Amount=amount, Land="eur"))
    if value is None:
        assert isinstance(found, BadRow)
        assert found.problems[0][0] == "activities[0].value"
    else:
        assert isinstance(found, ImportedRow)
        assert found.activities[0]["value"] == value
        assert found.activities[0]["currency"] == "EUR"


@pytest.mark.parametrize("currency", ["Euro", "EUX"])
def test_money_without_a_currency_is_refused(currency: str) -> None:
    text = 'site: demo\nlead: {email: "{Mail}"}\nactivity: {type: purchase, value: "{Amount}", currency: "{Land}"}\n'
    found = mapper(text).row(a_row(Mail="a@example.com", Amount="5", Land=currency))
    assert isinstance(found, BadRow)
    assert found.problems == (("activity.currency", "is no ISO 4217 code such as EUR"),)


@pytest.mark.parametrize(
    ("form", "text", "moment"),
    [
        ("iso", "2024-05-06T07:08:09+02:00", "2024-05-06T05:08:09Z"),
        ("iso", "2024-05-06 07:08", "2024-05-05T22:08:00Z"),
        ("unix", "1714979289", "2024-05-06T07:08:09Z"),
        ("unix_ms", "1714979289500", "2024-05-06T07:08:09.500000Z"),
        ("excel", "45418.25", "2024-05-05T21:00:00Z"),
        ("'%m/%d/%y'", "05/06/24", "2024-05-05T15:00:00Z"),
        ("iso", "9999-99-99", None),
        ("unix", "1e30", None),
        ("unix", "nan", None),
        ("excel", "inf", None),
        ("iso", "0001-01-01", None),
        ("excel", "0", None),
    ],
)
def test_a_date_is_read_in_the_way_the_map_says(form: str, text: str, moment: str | None) -> None:
    plan = f'site: demo\nlead: {{email: "{{Mail}}"}}\nactivity: {{type: call, at: "{{Date}}", at_format: {form}}}\n'
    found = mapper(plan).row(a_row(Mail="a@example.com", Date=text))
    if moment is None:
        assert isinstance(found, BadRow)
        assert found.problems[0][0] == "activity.at"
    else:
        assert isinstance(found, ImportedRow)
        assert found.submission["activity"] == {"type": "call", "at": moment}


def test_columns_that_the_map_forgets_are_named() -> None:
    assert mapper().unmapped == ("Spare",)
    assert mapper(MAP + "leave_out: [Spare]\n").unmapped == ()


def test_a_line_that_could_not_be_read_stays_a_line_with_its_reason() -> None:
    line = Unreadable(3, "a;b", "its quotes do not match", Place(5, 3), Place(9, 4))
    assert mapper().row(line) == BadRow(3, (), "a;b", (("", "its quotes do not match"),), Place(9, 4))


def test_a_row_is_known_again_whatever_the_order_of_its_columns() -> None:
    backwards = tuple(reversed(COLUMNS))
    row = a_row(Mail="anna@example.com", Job="Buyer")
    turned = a_row(backwards, Mail="anna@example.com", Job="Buyer")
    first, second = mapper().row(row), mapper(columns=backwards).row(turned)
    other = mapper().row(a_row(Mail="anna@example.com", Job="Boss"))
    elsewhere = mapper(MAP.replace("site: demo", "site: shop")).row(row)
    keys = [found.row_key for found in (first, second, other, elsewhere) if isinstance(found, ImportedRow)]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_a_better_map_gives_the_facts_that_it_shares_the_same_keys() -> None:
    row = a_row(Mail="anna@example.com", Visits="2", Won="yes", Amount="100", Won_on="2025-01-01")
    before = mapper(MAP.replace("at_least: 100", "at_least: 1000")).row(row)
    after = mapper().row(row)
    assert isinstance(before, ImportedRow)
    assert isinstance(after, ImportedRow)
    new = set(after.activity_keys()) - set(before.activity_keys())
    assert set(before.activity_keys()) < set(after.activity_keys())
    assert new == {after.activity_keys()[1]}
    assert len(set(after.activity_keys())) == len(after.activity_keys()) == 4


@settings(deadline=None)
@given(st.lists(st.text(max_size=30), min_size=len(COLUMNS), max_size=len(COLUMNS)))
def test_any_cells_make_a_submission_or_a_refused_row(cells: list[str]) -> None:
    found = mapper().row(Row(2, tuple(cells), "", Place(0, 2), Place(9, 3)))
    if isinstance(found, ImportedRow):
        assert json.dumps([found.submission, found.activities])
    else:
        assert all(why for _, why in found.problems)
        assert found.cells == tuple(cells)
