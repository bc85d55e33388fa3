from __future__ import annotations

import random

import pytest

from services.scoring.domain.award import Award, total
from services.scoring.domain.engagement import Fact, fold, why
from tests.support.rule_examples import activity, day, fact, rule_data, rules

RULES = rules()


def earned(*facts: Fact) -> dict[int, int]:
    """Tenths by the number of the fact."""
    points: dict[int, int] = {}
    for award in fold(facts, RULES)[1]:
        points[award.event_id.int] = points.get(award.event_id.int, 0) + award.tenths
    return points


def test_an_activity_earns_the_points_of_its_rule() -> None:
    interest, awards = fold([fact("demo_requested", 0)], RULES)
    assert awards == [Award("demo", fact("demo_requested", 0).event_id, day(0), 400, 30 * 86_400_000_000)]
    assert interest.engagement(day(30)) == 200


def test_an_activity_without_a_rule_earns_nothing_and_does_not_keep_a_lead_warm() -> None:
    interest, awards = fold([fact("flagged", 0)], RULES)
    assert (awards, interest.earned_at) == ([], None)


def test_a_rule_gives_points_until_they_are_worth_its_cap_and_again_as_they_fade() -> None:
    assert earned(*(fact("demo_requested", 0, number) for number in (1, 2, 3))) == {1: 400, 2: 200}
    # After 30 days 30 of the 60 points are left: 30 more may count.
    later = fact("demo_requested", 30, 9)
    assert earned(*(fact("demo_requested", 0, number) for number in (1, 2, 3)), later) == {1: 400, 2: 200, 9: 300}


def test_a_cut_award_says_so() -> None:
    _, awards = fold([fact("demo_requested", 0, 1), fact("demo_requested", 0, 2)], RULES)
    assert why(awards[1], RULES) == "Demo requested; cut from 40 points, more does not count"


def test_a_rule_that_counts_once_counts_the_first_in_time() -> None:
    assert earned(fact("newsletter_subscribed", 5, 1), fact("newsletter_subscribed", 2, 2)) == {2: 85}


def test_a_rule_may_count_so_often_within_a_length_of_time() -> None:
    facts = [fact("pricing_viewed", at, number) for number, at in enumerate((0, 0.2, 0.4, 15, 15.1, 15.2))]
    assert earned(*facts) == {0: 100, 1: 100, 3: 100, 4: 55}  # twice a day; at last cut by the cap of 25 points


def test_less_than_a_point_under_a_cap_is_not_worth_an_entry() -> None:
    assert earned(*(fact("demo_requested", at, number) for number, at in enumerate((0, 0, 0.5, 3)))) == {
        0: 400,
        1: 200,
        3: 40,
    }


def test_facts_of_one_moment_count_in_the_order_of_their_ids() -> None:
    assert earned(fact("newsletter_subscribed", 1, 7), fact("newsletter_subscribed", 1, 3)) == {3: 85}


def test_a_group_is_never_worth_more_than_its_cap() -> None:
    facts = [fact("product_viewed", 0, number) for number in range(4)] + [fact("page_viewed", 0, 9)]
    assert sum(earned(*facts).values()) == 120


def test_in_a_group_what_adds_and_what_takes_away_are_capped_apart() -> None:
    data = rule_data()
    data["engagement"]["rules"]["unsubscribed"] |= {"group": "browsing", "points": -20, "most": {"points": 50}}
    data["engagement"]["rules"]["product"]["points"] = 9
    facts = [fact("unsubscribed", 0, 1), fact("product_viewed", 0, 2), fact("product_viewed", 0, 3)]
    assert [award.tenths for award in fold(facts, rules(**data))[1]] == [-120, 90, 30]


def test_points_that_take_away_have_a_cap_too() -> None:
    assert earned(fact("unsubscribed", 0, 1), fact("unsubscribed", 1, 2)) == {1: -150}


def test_points_of_rules_with_conditions_need_them() -> None:
    data = rule_data()
    data["engagement"]["rules"]["page"]["when"] = {"field": "path", "starts_with": "/docs"}
    changed = rules(**data)
    assert fold([fact("page_viewed", 0, path="/blog")], changed)[1] == []
    assert len(fold([fact("page_viewed", 0, path="/docs/start")], changed)[1]) == 1


@pytest.mark.parametrize("seed", range(20))
def test_the_order_and_the_number_in_which_facts_become_known_do_not_matter(seed: int) -> None:
    chance = random.Random(seed)
    names = [
        "demo_requested",
        "pricing_viewed",
        "page_viewed",
        "product_viewed",
        "unsubscribed",
        "newsletter_subscribed",
    ]
    facts = [fact(chance.choice(names), chance.randrange(40) / 2, number) for number in range(30)]
    shuffled = chance.sample(facts, len(facts)) + chance.sample(facts, 10)
    assert fold(shuffled, RULES) == fold(facts, RULES)


def test_a_rule_that_counts_once_does_so_also_when_nothing_is_left_of_its_points() -> None:
    data = rule_data()
    data["engagement"]["rules"]["trial"] = activity("trial_started", 5, "1d", {"times": 1})
    trials = [fact("trial_started", at, at + 1) for at in (0, 300)]
    assert [award.event_id.int for award in fold(trials, rules(**data))[1]] == [1]
    data["engagement"]["rules"]["trial"]["most"]["within"] = "26w"
    assert [award.event_id.int for award in fold(trials, rules(**data))[1]] == [1, 301]


def test_old_awards_are_dropped_only_when_they_can_matter_no_more() -> None:
    facts = [fact("page_viewed", at, at + 1) for at in range(400)]
    interest, awards = fold(facts, RULES)
    assert len(interest.awards) < 60
    assert interest.engagement(day(399)) == total(awards, day(399))
