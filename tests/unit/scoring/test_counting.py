from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scoring.domain import counting
from services.scoring.domain.engagement import Fact
from services.scoring.domain.ledger import Entry, standing
from services.scoring.domain.ruleset import RuleSet
from services.scoring.domain.scored import Cycle, Memory, Past, Scored
from tests.support.rule_examples import activity, day, fact, rule_data, rules

RULES = rules()
CARD = UUID(int=99)


@dataclass
class Book:
    """A lead with its records: the past is only brought where it is asked for, as the service does."""

    rules: RuleSet = RULES
    memory: Memory = field(default_factory=Memory)
    version: int = 1
    facts: list[Fact] = field(default_factory=list[Fact])
    entries: list[Entry] = field(default_factory=list[Entry])
    card: dict[str, str] = field(default_factory=dict[str, str])
    ids: count[int] = field(default_factory=lambda: count(1000))
    recalled: int = 0

    def new_id(self) -> UUID:
        return UUID(int=next(self.ids))

    def scored(self, *, whole: bool = False) -> Scored:
        scored = Scored(self.memory, self.rules, self.version, rules_since=day(50))
        if whole:
            self.recalled += 1
            scored.past = Past(list(self.facts), list(self.entries), self.card, CARD)
        return scored

    def keep(self, scored: Scored) -> None:
        self.facts += scored.facts
        self.entries += scored.entries
        self.version = scored.rules_version

    def hear(self, one: Fact | Cycle) -> None:
        if isinstance(one, Cycle):
            if one.number <= self.memory.cycle:
                return
            scored = self.scored(whole=True)
            counting.begin_cycle(scored, one, self.new_id)
        else:
            scored = self.scored(whole=not counting.comes_next(self.memory, one))
            counting.count(scored, one, self.new_id)
        self.keep(scored)

    def adopt(self, changed: RuleSet, since: float = 50) -> None:
        self.rules = changed
        scored = self.scored(whole=True)
        scored.rules_since = day(since)
        counting.adopt_rules(scored, self.new_id)
        self.keep(scored)

    def weigh(self, known: dict[str, str], at: float, number: int) -> None:
        scored = self.scored()
        self.card = known
        counting.weigh(scored, known, UUID(int=number), day(at), self.new_id)
        self.keep(scored)

    def net(self, at: float | None = None) -> set[tuple[object, ...]]:
        """What counts, without the ids that differ from run to run."""
        return {
            (
                e.kind,
                e.cycle,
                e.award.rule,
                e.award.event_id.int,
                e.award.at,
                e.since,
                e.award.tenths,
                e.award.half_life,
            )
            for e in standing(self.entries, None if at is None else day(at))
        }

    def score(self, at: float) -> int:
        """As the points history says."""
        own = [e for e in standing(self.entries, day(at)) if e.kind == "fit" or e.cycle == self.memory.cycle]
        return sum(e.award.worth(day(at)) for e in own)


def told(*facts: Fact | Cycle) -> Book:
    book = Book()
    for one in facts:
        book.hear(one)
    return book


NAMES = ["demo_requested", "pricing_viewed", "page_viewed", "product_viewed", "unsubscribed", "newsletter_subscribed"]
acts = st.lists(st.tuples(st.sampled_from([*NAMES, "purchase", "flagged"]), st.integers(0, 60)), max_size=14)


@settings(max_examples=100, deadline=None)
@given(acts, st.lists(st.integers(0, 60), max_size=2), st.data())
def test_any_order_and_repetition_of_facts_comes_to_the_same_entries_and_the_same_score(
    acts: Sequence[tuple[str, int]], cycles: Sequence[int], data: st.DataObject
) -> None:
    facts = [fact(name, at / 2, number) for number, (name, at) in enumerate(acts)]
    begun = [Cycle(number, day(at / 2)) for number, at in enumerate(sorted(cycles), start=2)]
    in_time = told(*begun, *sorted(facts, key=lambda one: one.key))
    shuffled: list[Fact] = data.draw(st.permutations(facts))
    again = data.draw(st.lists(st.sampled_from(facts), max_size=4)) if facts else []
    mixed = merged(begun, [*shuffled, *again], data)

    other = told(*mixed)

    assert other.net() == in_time.net()
    assert other.memory.interest == in_time.memory.interest
    assert (other.memory.asked, other.memory.bought, other.memory.flagged) == (
        in_time.memory.asked,
        in_time.memory.bought,
        in_time.memory.flagged,
    )
    for at in (0, 7.5, 30, 31, 400):
        assert other.score(at) == in_time.score(at)
    assert other.score(400) == other.memory.figures(RULES, day(400)).score


def merged(cycles: Iterable[Cycle], facts: Sequence[Fact], data: st.DataObject) -> list[Fact | Cycle]:
    """Cycles begin in their order, at any place among the facts: between topics there is no order."""
    mixed: list[Fact | Cycle] = list(facts)
    after = 0
    for cycle in cycles:
        after = data.draw(st.integers(after, len(mixed)))
        mixed.insert(after, cycle)
        after += 1
    return mixed


@given(acts)
def test_what_comes_in_order_is_counted_without_looking_back(acts: Sequence[tuple[str, int]]) -> None:
    book = told(*sorted((fact(name, at, number) for number, (name, at) in enumerate(acts)), key=lambda one: one.key))
    assert book.recalled == 0
    assert all(entry.retracts is None for entry in book.entries)


def test_a_late_fact_takes_points_from_those_after_it_by_entries_that_take_back() -> None:
    book = told(fact("newsletter_subscribed", 10, 1), fact("newsletter_subscribed", 3, 2))

    first, *later = book.entries

    back = next(entry for entry in later if entry.retracts == first.id)
    assert (back.award.tenths, back.award.at, back.reason) == (-85, day(10), counting.LATE)
    assert book.net() == {("engagement", 1, "newsletter", 2, day(3), day(3), 85, None)}
    assert (book.score(2), book.score(5), book.score(12)) == (0, 85, 85)


def test_a_new_cycle_counts_engagement_from_its_start_and_fit_stays() -> None:
    book = told(fact("demo_requested", 0, 1))
    book.weigh({"email.kind": "business"}, 0, 50)
    book.hear(Cycle(2, day(40)))
    assert book.score(40) == 150
    book.hear(fact("pricing_viewed", 41, 2))
    assert book.score(41) == 250
    book.hear(fact("page_viewed", 39, 3))  # late, and of the cycle before
    assert book.score(41) == 250
    assert ("engagement", 1, "page", 3, day(39), day(39), 10, 7 * 86_400_000_000) in book.net()


def test_the_event_that_begins_a_cycle_counts_in_it() -> None:
    asking = fact("demo_requested", 39, 7)
    for order in ([asking, Cycle(2, day(40), str(asking.event_id))], [Cycle(2, day(40), str(asking.event_id)), asking]):
        book = told(fact("pricing_viewed", 1, 1), *order)
        assert {entry[3] for entry in book.net() if entry[1] == 2} == {7}
        assert book.memory.asked is not None


def test_a_purchase_of_an_earlier_cycle_is_none_of_this_one() -> None:
    book = told(fact("purchase", 1, 1, value="10.00", currency="EUR"), Cycle(2, day(5)))
    assert book.memory.bought is None
    book.hear(fact("purchase", 6, 2, value="20.00", currency="EUR"))
    assert book.memory.bought is not None
    assert book.memory.bought.value == "20.00"


def test_fit_follows_the_card_and_keeps_what_it_was_before() -> None:
    book = Book()
    book.weigh({"email.kind": "free"}, 0, 1)
    book.weigh({"email.kind": "business", "answers.employees": "700"}, 5, 2)
    book.weigh({"email.kind": "business", "answers.employees": "700"}, 6, 3)
    assert (book.score(1), book.score(5), book.memory.grade) == (-50, 450, "A")
    assert len(book.entries) == 4
    assert {entry[3] for entry in book.net()} == {2}


def test_new_rules_count_from_when_they_came_into_force_and_the_past_stays_as_it_was() -> None:
    book = told(fact("pricing_viewed", 49, 1), fact("page_viewed", 49, 2))
    book.weigh({"email.kind": "business"}, 0, 3)
    before = book.score(49.5)
    data = rule_data()
    data["version"] = 2
    data["engagement"]["rules"]["prices"]["points"] = 20
    data["fit"]["rules"]["business_email"]["points"] = 5

    book.adopt(rules(**data))

    assert (book.score(49.5), before) == (book.score(49.5), 150 + 98 + 10)
    assert book.score(50) == 50 + 190 + 9
    versions = {(e.award.rule, e.award.tenths): e.rule_version for e in standing(book.entries)}
    assert versions == {("prices", 200): 2, ("page", 10): 1, ("business_email", 50): 2}
    assert book.score(50) == book.memory.figures(book.rules, day(50)).score


def test_what_only_new_rules_give_points_for_is_not_in_the_scores_before_them() -> None:
    book = told(fact("chat_message", 49, 1))
    data = rule_data() | {"version": 2}
    data["engagement"]["rules"]["chat"] = activity("chat_message", 8, "14d", {"points": 8})
    book.adopt(rules(**data))
    assert (book.score(49.9), book.score(50)) == (0, 76)
    del data["engagement"]["rules"]["chat"]
    book.adopt(rules(**data | {"version": 3}), since=60)
    assert (book.score(49.9), book.score(59), book.score(60)) == (0, 49, 0)


@settings(max_examples=50, deadline=None)
@given(acts, acts, st.data())
def test_after_new_rules_the_facts_still_come_to_the_same_in_any_order(
    acts: Sequence[tuple[str, int]], more: Sequence[tuple[str, int]], data: st.DataObject
) -> None:
    changed = rule_data() | {"version": 2}
    changed["engagement"]["rules"]["prices"]["points"] = 17
    del changed["engagement"]["rules"]["page"]
    facts = [fact(name, at / 2, number) for number, (name, at) in enumerate(acts)]
    later = [fact(name, 60 + at / 2, number) for number, (name, at) in enumerate(more, start=100)]
    one, other = Book(), Book()
    for book, order in ((one, [*facts, *later]), (other, data.draw(st.permutations([*facts, *later])))):
        switch = data.draw(st.integers(0, len(order)))
        for number, heard in enumerate(order):
            if number == switch:
                book.adopt(rules(**changed))
            book.hear(heard)
        if switch == len(order):
            book.adopt(rules(**changed))
    assert one.memory.interest == other.memory.interest
    assert one.score(120) == other.score(120) == one.memory.figures(one.rules, day(120)).score
