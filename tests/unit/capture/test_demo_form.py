"""The demo page's own look at what was typed, and what it sends."""

from __future__ import annotations

import pytest

from tests.support.pages import run_module


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ada@company.com", None),
        ("  ada@company.com ", None),
        ("", "Please leave an address"),
        ("ada", "An address has"),
        ("ada@", "The part after"),
        ("bruno.keller@example", "no ending|bruno.keller@example.com"),
        ("ada@gmail", "no ending|ada@gmail.com"),
        ("ada moen@x.no", "space|adamoen@x.no"),
    ],
)
def test_the_form_says_what_is_wrong_with_an_address(address: str, said: str | None) -> None:
    found = run_module(
        f'import {{ addressProblem }} from "./services/capture/pages/static/form.js";'
        f"const p = addressProblem({address!r}); console.log(p ? p.text + '|' + (p.proposal ?? '') : 'null')"
    ).strip()
    if said is None:
        assert found == "null"
    else:
        text, _, proposal = said.partition("|")
        assert text in found
        assert found.endswith(f"|{proposal}")


def test_the_form_guesses_a_slip_in_a_common_domain_and_leaves_companies_alone() -> None:
    addresses = [
        "a@gmial.com",
        "a@gmal.com",
        "a@gnail.com",
        "a@gmaill.com",
        "a@gmail.com",
        "a@mail.com",
        "a@norrvik.se",
    ]
    found = run_module(
        'import { slip } from "./services/capture/pages/static/form.js";'
        f"console.log({addresses!r}.map((a) => slip(a)).join())"
    ).strip()
    assert found == "a@gmail.com,a@gmail.com,a@gmail.com,a@gmail.com,,,"


def test_the_form_sends_what_post_leads_takes() -> None:
    script = """
    import assert from "node:assert";
    import { submission, problems } from "./services/capture/pages/static/form.js";
    assert.deepEqual(submission([
      ["email", "ada@x.no"], ["phone", ""], ["fields.pallets_a_week", "under_40"], ["consent.contact", "on"],
      ["consent.contact.text", "You may call."], ["consent.marketing.text", "Mail me."],
      ["activity.type", "demo_requested"],
      ["source.click_ids.gclid", "g1"], ["redirect", "/demo/thanks"], ["page", "demo"],
      ["submission_id", "s1"], ["website", ""],
    ]), {
      email: "ada@x.no", fields: { pallets_a_week: "under_40" }, activity: { type: "demo_requested" },
      source: { click_ids: { gclid: "g1" } }, consent: { contact: { granted: true, text: "You may call." } },
    });
    assert.deepEqual(problems({ errors: [{ pointer: "/fields/pallets_a_week", detail: "is too long" }] }),
      [{ name: "fields.pallets_a_week", text: "Is too long.", proposal: undefined }]);
    console.log("held");
    """
    assert run_module(script).strip() == "held"
