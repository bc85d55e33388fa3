"""What a marketer is told about a rule set that cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.scoring.domain.reading import BadRules, read_rules
from services.scoring.domain.ruleset import RuleSet
from services.scoring.rules import DEFAULT, parse, shipped
from shared.lifecycle import Stage
from tests.support.rule_examples import rule_data


def test_the_shipped_rules_can_be_used() -> None:
    data, rules = shipped()
    assert data == parse(DEFAULT.read_text(encoding="utf-8")), "it would not pass as somebody else's"
    assert rules.version == 1
    assert {rule.reason for rule in rules.requests} == {"demo_requested", "contact_requested", "inbound_call"}
    assert set(rules.stages) == {Stage.iql, Stage.mql, Stage.sql}


def test_points_are_kept_in_tenths_and_lengths_in_microseconds() -> None:
    rules = read_rules(rule_data())
    newsletter = rules.by_code["newsletter"]
    assert (newsletter.tenths, newsletter.half_life) == (85, None)
    assert rules.by_code["page"].half_life == 7 * 86_400_000_000
    assert rules.grades == {"A": 400, "B": 250, "C": 100}


def _set(*path: str | int, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(data: Any) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = to

    return change


def _drop(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(data: Any) -> None:
        for key in path[:-1]:
            data = data[key]
        del data[path[-1]]

    return change


PRICES = ("engagement", "rules", "prices")
BUSINESS = ("fit", "rules", "business_email")
MQL = ("stages", "mql")


@pytest.mark.parametrize(
    ("change", "place", "why"),
    [
        (_set("colour", to="red"), "colour", "is not a key here; there are come_back, engagement"),
        (_drop("fit"), "fit", "is missing"),
        (_set("version", to="one"), "version", "must be a whole number from 1"),
        (_set("version", to=True), "version", "must be a whole number from 1"),
        (_set("groups", "browsing", to=12), "groups.browsing", "must be a mapping"),
        (_set("groups", "browsing", "most", to=0), "groups.browsing.most", "must be more than 0"),
        (_set("groups", "Browsing!", to={"most": 1}), "groups.Browsing!", "must be a name of small letters"),
        (_set(*PRICES, "points", to="ten"), "engagement.rules.prices.points", "must be a number"),
        (_set(*PRICES, "points", to=1.25), "engagement.rules.prices.points", "must be points with at most one decimal"),
        (_set(*PRICES, "points", to=float("nan")), "engagement.rules.prices.points", "must be a number"),
        (_set(*PRICES, "points", to=10**9), "engagement.rules.prices.points", "up to 10,000"),
        (_set(*PRICES, "half_life", to=14), "engagement.rules.prices.half_life", "must be a length of time"),
        (_set(*PRICES, "half_life", to="0d"), "engagement.rules.prices.half_life", "must be a length of time"),
        (_drop(*PRICES, "half_life"), "engagement.rules.prices.half_life", "is missing"),
        (_drop(*PRICES, "most"), "engagement.rules.prices.most", "is missing"),
        (_set(*PRICES, "most", to={}), "engagement.rules.prices.most", "needs `points`, `times` or both"),
        (_set(*PRICES, "most", to={"points": 5, "within": "1d"}), "engagement.rules.prices.most.within", "goes with"),
        (_set(*PRICES, "most", to={"times": 0}), "engagement.rules.prices.most.times", "must be a whole number"),
        (_set(*PRICES, "group", to="nowhere"), "engagement.rules.prices.group", "is not one of the `groups`"),
        (
            _set(*PRICES, "activity", to="Pricing viewed"),
            "engagement.rules.prices.activity",
            "is not a type of activity",
        ),
        (_set(*PRICES, "intent", to="yes"), "engagement.rules.prices.intent", "must be true or false"),
        (_set(*PRICES, "says", to="one\ntwo"), "engagement.rules.prices.says", "must be a text of one line"),
        (_set(*PRICES, "says", to="a\0b"), "engagement.rules.prices.says", "must be a text of one line"),
        (
            _set(*PRICES, "when", to={"field": "company", "known": True}),
            "engagement.rules.prices.when.field",
            "'company' is nothing that is known here",
        ),
        (_set(*BUSINESS, "when", "field", to="shoe_size"), "fit.rules.business_email.when.field", "is nothing"),
        (_set(*BUSINESS, "when", "field", to="answers."), "fit.rules.business_email.when.field", "is nothing"),
        (
            _set(*BUSINESS, "when", "is", to="posh"),
            "fit.rules.business_email.when.is",
            "must be of business, disposable",
        ),
        (_set(*BUSINESS, "when", "is", to=True), "fit.rules.business_email.when.is", "put it in quotes"),
        (_set(*BUSINESS, "when", "in", to=["free"]), "fit.rules.business_email.when", "needs one comparison"),
        (_set(*BUSINESS, "when", to={"field": "company"}), "fit.rules.business_email.when", "needs one comparison"),
        (_set(*BUSINESS, "when", to={"all": []}), "fit.rules.business_email.when.all", "must be a list with something"),
        (_set(*BUSINESS, "when", to={"all": [1]}), "fit.rules.business_email.when.all.0", "must be a mapping"),
        (
            _set(*BUSINESS, "when", to={"every": [1]}),
            "fit.rules.business_email.when",
            "must be one of `all`, `any`, `not`",
        ),
        (
            _set(*BUSINESS, "when", to={"field": "answers.n", "at_least": 3, "at_most": 2}),
            "fit.rules.business_email.when.at_most",
            "must not be less",
        ),
        (
            _set(*BUSINESS, "when", to={"field": "company", "contains": ["!?"]}),
            "fit.rules.business_email.when.contains",
            "must have a letter or digit",
        ),
        (_set("fit", "grades", "A", to=5), "fit.grades", "must fall from A to C"),
        (
            lambda data: data["fit"]["rules"].update(page=data["fit"]["rules"]["large"]),
            "engagement.rules.page",
            "is also the name of a fit rule",
        ),
        (
            _set("requests", "rules", "demo_requested", "reason", to="spam"),
            "requests.rules.demo_requested.reason",
            "must be",
        ),
        (_set("come_back", to=["no_money"]), "come_back.0", "must be one of"),
        (_drop("temperature", "warm"), "temperature.warm", "is missing"),
        (_set("temperature", "hot", "leave", to=40), "temperature.hot.leave", "must be lower than `enter`"),
        (_set("temperature", "hot", "leave", to=5), "temperature.hot.leave", "must not be lower than that of warm"),
        (_set("temperature", "warm", "enter", to=50), "temperature.hot.enter", "must not be lower than that of warm"),
        (_drop(*MQL), "stages.mql", "is missing"),
        (_drop(*MQL, "leave"), "stages.mql.leave", "is missing"),
        (_set("stages", "iql", "leave", to={"score": 1}), "stages.iql.leave", "has no meaning here"),
        (_set(*MQL, "leave", "score", to=45), "stages.mql.enter.0.score", "must be above 45, where the stage is left"),
        (_set(*MQL, "leave", to={"engagement": 5}), "stages.mql.enter.0.engagement", "must be above 5"),
        (_set(*MQL, "enter", 0, to={}), "stages.mql.enter.0", "asks for nothing"),
        (
            _set(*MQL, "enter", 0, "grade", to=["A", "E"]),
            "stages.mql.enter.0.grade",
            "must be one of A, B, C, D, unknown",
        ),
        (_set(*MQL, "enter", 0, "reason", to="purchase"), "stages.mql.enter.0.reason", "is not a reason for which"),
        (_set(*MQL, "enter", 0, "groups", to={"nowhere": 1}), "stages.mql.enter.0.groups.nowhere", "is not one of"),
    ],
)
def test_a_fault_is_told_with_the_key_it_is_at(change: Callable[[dict[str, Any]], None], place: str, why: str) -> None:
    data = rule_data()
    change(data)

    with pytest.raises(BadRules) as told:
        read_rules(data)

    problems = [(".".join(map(str, path)), said) for path, said in told.value.problems]
    assert any(where == place and why in said for where, said in problems), problems


def test_all_faults_are_told_at_once() -> None:
    data = rule_data()
    del data["requests"]
    data["engagement"]["rules"]["page"]["points"] = None
    with pytest.raises(BadRules) as told:
        read_rules(data)
    assert len(told.value.problems) == 2
    assert str(told.value) == "engagement.rules.page.points must be a number; requests is missing"


@pytest.mark.parametrize("data", [None, [], "rules", 7, {1: 2}])
def test_what_is_no_rule_set_at_all_is_refused(data: object) -> None:
    with pytest.raises(BadRules):
        read_rules(data)


def test_conditions_nest_only_so_deep() -> None:
    condition: dict[str, Any] = {"field": "company", "known": True}
    for _ in range(2000):
        condition = {"not": condition}
    data = rule_data()
    data["fit"]["rules"]["large"]["when"] = condition
    with pytest.raises(BadRules, match="nested too deeply"):
        read_rules(data)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("fit: 1\nfit: 2", "line 2: fit is there twice"),
        ("fit: &fit {a: 1}\ngroups: *fit", "line 2: aliases are not used here"),
        ("fit: [1", "cannot be read in line 1"),
        ("fit: !!python/object:os.system x", "cannot be read"),
        ("{" * 2_000, "cannot be read"),
        ("\0", "cannot be read"),
    ],
)
def test_a_file_that_is_not_plain_data_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadRules, match=why):
        parse(text)


def test_json_is_read_like_yaml() -> None:
    assert parse('{"version": 3, "groups": {"mail": {"most": 5}}}') == {"version": 3, "groups": {"mail": {"most": 5}}}


def test_a_rule_set_never_comes_half_read() -> None:
    assert isinstance(read_rules(rule_data()), RuleSet)
