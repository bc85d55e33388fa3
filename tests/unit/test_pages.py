"""What holds for every page and mail, whoever renders it."""

from __future__ import annotations

import re
from datetime import UTC
from functools import cache
from pathlib import Path
from posixpath import normpath
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import pytest
from jinja2 import Environment, UndefinedError

from services.handover.writing import write_mail
from services.insights.pages import console_pages
from services.nurture.domain.naming import called
from shared.pages import CONTENT_SECURITY_POLICY, LAYOUTS, STATIC, templates
from tests.support.page_sample import Sample
from tests.support.page_samples import JOURNEY_MAIL, OFFER_MAIL, SAMPLES, UNSUBSCRIBE, hostile, with_address
from tests.support.pages import ROOT, Page, signs, static_file

FOLDERS = sorted(ROOT.glob("services/*/pages"))
OWN = [path for folder in FOLDERS for path in sorted((*folder.glob("*.html"), *folder.glob("*.txt")))]
ASSETS = [path for folder in (STATIC, *(folder / "static" for folder in FOLDERS)) for path in sorted(folder.rglob("*"))]
WRITTEN = (".html", ".css", ".js")
MAILS = ("offer_mail", "welcome", "second")
PAGES = [sample for sample in SAMPLES if Path(sample.template).stem not in MAILS]
MARKUP = [sample for sample in SAMPLES if sample.template.endswith(".html")]
_MESSAGE = r"\{\{ (?:\w+\.message|next\.said)\b"
INCLUDED = {"words.html", "answers.html", "console.html", "console_parts.html", "drawing.html", "funnel.html"}

every_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.id)
every_page = pytest.mark.parametrize("sample", PAGES, ids=lambda sample: sample.id)


@cache
def pages_of(service: str) -> Environment:
    zone = ZoneInfo("Europe/Stockholm")
    return console_pages(zone) if service == "insights" else templates(ROOT / "services" / service / "pages", zone=zone)


def rendered(sample: Sample) -> str:
    return pages_of(sample.service).get_template(sample.template).render(sample.variables)


def contract(template: Path) -> set[str]:
    """The variables that the comment at the top of a template lists."""
    comment = re.match(r"\{#(.*?)#\}", template.read_text(encoding="utf-8"), re.DOTALL)
    assert comment, f"{template.name} does not begin with its contract"
    words = comment[1]
    other = re.search(r"variables as in (\w+\.txt)", words)
    if other:
        return contract(template.with_name(other[1]))
    lines = re.findall(r"^   (\w[\w, ]*?)  +\S", words, re.MULTILINE)
    return {name.strip() for line in lines for name in line.split(",")}


def test_what_a_person_wrote_is_shown_in_the_lines_it_was_written_in() -> None:
    assert re.search(r"\.written \{\s*white-space: pre-line;", (STATIC / "leadline.css").read_text(encoding="utf-8"))
    shown = [line for path in OWN for line in path.read_text("utf-8").splitlines() if re.search(_MESSAGE, line)]
    assert len(shown) == 4
    assert [line for line in shown if not re.search(r'class="[^"]*\bwritten\b', line)] == []


@every_sample
def test_a_template_renders_with_the_variables_it_names(sample: Sample) -> None:
    assert set(sample.variables) == contract(ROOT / "services" / sample.service / "pages" / sample.template)
    assert rendered(sample).strip()


def test_every_template_has_a_sample() -> None:
    shown = {(sample.service, sample.template) for sample in SAMPLES}
    assert {(path.parts[-3], path.name) for path in OWN if path.name not in INCLUDED} == shown


def test_a_variable_left_out_is_not_printed_as_nothing() -> None:
    sample = next(sample for sample in SAMPLES if sample.template == "copy.html")
    with pytest.raises(UndefinedError):
        rendered(Sample(sample.service, sample.template, {"site_key": "pk_demo"}))


@pytest.mark.parametrize(
    "sample", [sample for sample in SAMPLES if sample.template.endswith(".html")], ids=lambda s: s.id
)
def test_what_people_typed_stays_text(sample: Sample) -> None:
    harmless = Page.of(rendered(sample))
    variables = {name: hostile(value, name) for name, value in sample.variables.items()}
    page = Page.of(rendered(Sample(sample.service, sample.template, variables)))
    assert not page.all("hostile")
    assert len(page.all("script")) == len(harmless.all("script"))
    assert not [name for element in page.elements for name in element.attributes if name.startswith("on")]


def test_a_mail_is_written_to_the_address_alone_whatever_signs_it_holds() -> None:
    odd = "a?cc=b%40c.example&body=x/y@norrvik.example"
    letters = [
        letter
        for sample in PAGES
        for letter in re.findall(r'"mailto:([^"]*)"', rendered(with_address(sample, odd)).replace("&amp;", "&"))
        if "norrvik" in letter
    ]
    assert len(letters) >= 4, "to write to a lead, on the pages of reps"
    assert {unquote(letter) for letter in letters} == {odd}
    assert not [letter for letter in letters if not re.fullmatch(r"[^?&@]+@norrvik\.example", letter)]


def test_only_a_key_that_there_is_is_said_to_have_been_made() -> None:
    page = next(sample for sample in PAGES if sample.template == "sites.html")
    told = {made: "may post from now on" in rendered(page.but("", made=made)) for made in ("pk_demo", "pk_evil", "")}
    assert told == {"pk_demo": True, "pk_evil": False, "": False}


@every_page
def test_a_page_holds_no_style_and_no_script_of_its_own(sample: Sample) -> None:
    page = Page.of(rendered(sample))
    assert not page.all("style")
    assert not page.inline_scripts
    names = [(element.tag, name) for element in page.elements for name in element.attributes]
    assert not [(tag, name) for tag, name in names if name == "style" or name.startswith("on")]
    assert not [element for element in page.elements if "javascript:" in "".join(element.attributes.values())]


def test_the_policy_leaves_no_door_to_inline_code() -> None:
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'; ")
    assert "unsafe" not in CONTENT_SECURITY_POLICY


@every_page
def test_what_a_page_refers_to_is_there(sample: Sample) -> None:
    page = Page.of(rendered(sample))
    loaded = [
        e.attributes.get("href") or e.attributes.get("src")
        for e in page.elements
        if e.tag in ("link", "script", "img", "use")
    ]
    assert loaded
    for address in loaded:
        assert address is not None
        assert address.startswith("/static/"), f"{address} is loaded from elsewhere"
        assert static_file(address).is_file(), f"{address} is not there"
    icons = [e.attributes["href"].split("#")[1] for e in page.all("use")]
    assert set(icons) <= signs()


@pytest.mark.parametrize(
    "asset", [path for path in ASSETS if path.suffix in (".css", ".js")], ids=lambda path: path.name
)
def test_what_a_sheet_or_script_refers_to_is_there(asset: Path) -> None:
    text = asset.read_text(encoding="utf-8")
    folder = asset.parent.relative_to(STATIC) if asset.is_relative_to(STATIC) else Path(asset.parts[-4])
    for in_sheet, in_script in re.findall(r'url\("(?!data:)([^"]+)"\)|from "(\.[^"]+)"', text):
        address = normpath(f"/static/{folder}/{in_sheet or in_script}")
        assert static_file(address).is_file(), f"{address} is not there"
    for address in re.findall(r'"(/static/[^"]+)"', text):
        assert static_file(address).is_file(), f"{address} is not there"


def test_nothing_is_kept_that_no_page_uses() -> None:
    written = [path for path in (*OWN, *LAYOUTS.glob("*.html"), *ASSETS) if path.suffix in WRITTEN]
    text = "\n".join(path.read_text(encoding="utf-8") for path in written)
    for path in ASSETS:
        if path.is_file() and path.suffix != ".txt":
            assert path.name in text, f"{path} is used by nothing"


@every_page
def test_every_field_has_a_name_for_those_who_do_not_see_it(sample: Sample) -> None:
    page = Page.of(rendered(sample))
    assert not page.unlabelled()
    assert not [image for image in page.all("img") if "alt" not in image.attributes]
    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    described = [name for e in page.elements for name in e.attributes.get("aria-describedby", "").split()]
    labelled = [name for e in page.elements for name in e.attributes.get("aria-labelledby", "").split()]
    assert {*described, *labelled} <= set(ids)


@every_page
def test_a_page_has_one_main_part_and_one_first_heading(sample: Sample) -> None:
    page = Page.of(rendered(sample))
    assert len(page.all("main")) == 1
    assert len(page.all("h1")) == 1
    assert page.all("html")[0].attributes["lang"] == "en"


def test_consent_boxes_of_the_demo_form_are_never_ticked_beforehand() -> None:
    sample = next(sample for sample in SAMPLES if sample.template == "demo.html")
    boxes = [
        element for element in Page.of(rendered(sample)).all("input") if element.attributes.get("type") == "checkbox"
    ]
    assert {box.attributes["name"] for box in boxes} == {"consent.contact", "consent.marketing"}
    assert not [box for box in boxes if "checked" in box.attributes]


def test_the_demo_form_says_again_what_was_typed_beside_what_is_wrong() -> None:
    sample = next(sample for sample in SAMPLES if sample.state == "with an answer to mend")
    page = rendered(sample)
    fields = Page.of(page).fields()
    assert fields["email"].attributes["value"] == "bruno.keller@example"
    assert fields["email"].attributes["aria-invalid"] == "true"
    assert fields["phone"].attributes["value"] == "+49 171 39200 42"
    assert "aria-invalid" not in fields["phone"].attributes
    assert "Did you mean example.com?" in page


def test_the_trap_is_kept_away_from_people() -> None:
    fields = Page.of(rendered(SAMPLES[0])).fields()
    assert fields["website"].attributes["tabindex"] == "-1"
    assert fields["website"].attributes["autocomplete"] == "off"


def test_an_offer_shows_contact_data_only_when_it_is_accepted() -> None:
    for sample in (sample for sample in SAMPLES if sample.template == "offer.html"):
        page = rendered(Sample(sample.service, sample.template, {**sample.variables, "not_you": ""}))
        assert ("mailto:" in page) == (sample.variables["state"] == "accepted")


def test_an_offer_is_decided_by_post_alone() -> None:
    sample = next(sample for sample in SAMPLES if sample.id == "handover/offer.html open")
    forms = Page.of(rendered(sample)).all("form")
    assert [form.attributes["method"] for form in forms] == ["post", "post"]


@pytest.mark.parametrize(
    "name", ["Win at http://x.example", "visit x.example", "call 555", "<b>you</b>", "x" * 60, " "]
)
def test_a_name_that_is_an_advertisement_is_nothing_to_greet_with(name: str) -> None:
    assert called(name) == ""


@pytest.mark.parametrize("name", ["Mara", "Zoë Ång-Öst", "D’Arcy", "J. R.", "李小龍"])
def test_a_name_is_greeted_as_it_was_given(name: str) -> None:
    assert called(f" {name}\n") == name


@pytest.mark.parametrize("part", ["welcome.txt", "welcome.html", "second.txt", "second.html"])
def test_each_part_of_a_journey_mail_holds_the_way_out(part: str) -> None:
    mail = pages_of("nurture").get_template(part).render(JOURNEY_MAIL)
    assert str(JOURNEY_MAIL["unsubscribe"]) in mail
    assert "Hello Mara," in mail


def test_the_page_that_stops_mails_changes_nothing_when_it_is_opened() -> None:
    page = Page.of(rendered(UNSUBSCRIBE))
    assert [form.attributes["method"] for form in page.all("form")] == ["post"]
    assert page.fields()["List-Unsubscribe"].attributes["value"] == "One-Click"


def test_a_mail_has_one_line_of_subject_and_both_parts() -> None:
    pages = templates(ROOT / "services/handover/pages", zone=UTC)
    typed = {name: hostile(OFFER_MAIL[name]) for name in ("offer", "phone", "rep")}
    mail = write_mail(pages, "offer_mail", **{**OFFER_MAIL, **typed})
    assert "\n" not in mail.subject
    assert mail.subject.startswith("Answer by 13:47: Mara L.")
    assert not [line for line in mail.text.splitlines() if line.startswith("Bcc:")]
    assert "<hostile" not in mail.html
