"""A public endpoint for forms: from allowed pages, once per submission, answered at once."""

from __future__ import annotations

from tests.support.installation import Installation


def test_a_form_posts_from_its_own_page_and_twice_is_once(inst: Installation, person: str) -> None:
    headers = {"X-Site-Key": "pk_demo", "Origin": "http://localhost:3000", "Idempotency-Key": f"form-{person}"}
    body = {"email": person, "activity": {"type": "form_submitted"}}
    with inst.public("capture") as page:
        first = page.post("/v1/leads", json=body, headers=headers)
        second = page.post("/v1/leads", json=body, headers=headers)
        other = page.post("/v1/leads", json=body | {"name": "Other"}, headers=headers)
        foreign = page.options(
            "/v1/leads",
            headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
        )
    assert first.status_code == 202
    assert first.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert set(first.json()) == {"submission_id"}
    assert second.json() == first.json()
    assert other.status_code == 422
    assert "access-control-allow-origin" not in foreign.headers


def test_a_plain_form_without_scripts_is_thanked(inst: Installation, person: str) -> None:
    with inst.public("capture") as browser:
        answer = browser.post(
            "/v1/leads?site=pk_demo",
            data={"email": person, "name": "Plain Form", "activity.type": "contact_requested"},
        )
        assert answer.status_code == 303
        assert browser.get(answer.headers["location"]).status_code == 200
        wrong = browser.post("/v1/leads?site=pk_demo", data={"email": "nonsense", "name": "Kept Name"})
    assert wrong.status_code == 422
    assert "nonsense" not in wrong.text or "mail" in wrong.text.lower()
