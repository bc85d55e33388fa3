"""Counts a lead's facts: the next one by itself, a late one by counting all of its facts anew."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from services.scoring.domain.award import Award
from services.scoring.domain.conditions import Known
from services.scoring.domain.engagement import Fact, fold, in_order, still_needed, take
from services.scoring.domain.engagement import why as reason_of
from services.scoring.domain.fit import fit_of, grade_of
from services.scoring.domain.ledger import Entry, NewId, corrected, taken_back
from services.scoring.domain.ruleset import RuleSet
from services.scoring.domain.scored import Cycle, FitEntry, Memory, Scored
from services.scoring.domain.stages import Asked, Bought, Flagged

LATE = "an earlier event became known later"
NEW_RULES = "the rules have changed"
NO_LONGER = "no longer so"


def comes_next(memory: Memory, fact: Fact) -> bool:
    """Whether a fact is later than all before it, so that it can be counted without looking at them again."""
    return (memory.last is None or fact.key > memory.last) and memory.cycle_of(fact) == memory.cycle


def count(scored: Scored, fact: Fact, new_id: NewId) -> None:
    """Count a fact. One that does not come next needs `scored.past`."""
    if scored.past is not None and any(fact.event_id == other.event_id for other in scored.past.facts):
        return
    scored.facts.append(fact)
    if scored.past is not None:
        scored.past.facts.append(fact)
    if comes_next(scored.memory, fact):
        _count_next(scored, fact, new_id)
    else:
        recount(scored, new_id, since=None, why=LATE)


def _count_next(scored: Scored, fact: Fact, new_id: NewId) -> None:
    memory, rules = scored.memory, scored.rules
    memory.last = fact.key
    _keep(memory, fact, rules)
    for award in take(memory.interest, fact, rules):
        _add(scored, _engagement_entry(award, memory.cycle, rules, new_id))
    memory.interest.awards = still_needed(memory.interest.awards, rules, fact.at)


def recount(scored: Scored, new_id: NewId, since: int | None, why: str) -> None:
    """Count all facts anew, and set the points history right by adding to it."""
    assert scored.past is not None
    memory, rules, facts = scored.memory, scored.rules, in_order(scored.past.facts)
    by_cycle: dict[int, list[Fact]] = {memory.cycle: []}
    for fact in facts:
        by_cycle.setdefault(memory.cycle_of(fact), []).append(fact)
    wanted: list[Entry] = []
    for cycle, own in by_cycle.items():
        interest, awards = fold(own, rules)
        wanted += [_engagement_entry(award, cycle, rules, new_id) for award in awards]
        if cycle == memory.cycle:
            memory.interest = interest
    for entry in corrected(scored.past.entries, wanted, new_id, since, why):
        _add(scored, entry)
    memory.last = facts[-1].key if facts else None
    memory.asked, memory.bought, memory.flagged = None, None, None
    for fact in facts:
        _keep(memory, fact, rules)


def weigh(scored: Scored, known: Known, event_id: UUID, at: int, new_id: NewId, *, why: str = NO_LONGER) -> None:
    """Bring the fit up to what is known now; an entry stays with the event that earned it first."""
    memory, rules = scored.memory, scored.rules
    given = fit_of(known, rules)
    kept: list[FitEntry] = []
    for entry in memory.fit:
        if given.get(entry.award.rule) == entry.award.tenths:
            kept.append(entry)
            del given[entry.award.rule]
        else:
            _add(scored, taken_back(_fit_entry(entry, why), new_id, at, why))
    for code, tenths in given.items():
        new = FitEntry(new_id(), rules.version, at, Award(code, event_id, at, tenths))
        kept.append(new)
        _add(scored, _fit_entry(new, rules.says[code]))
    memory.fit = kept
    memory.grade = grade_of(known, sum(entry.award.tenths for entry in kept), rules)


def begin_cycle(scored: Scored, cycle: Cycle, new_id: NewId) -> None:
    """Engagement counts from the beginning of a cycle, fit stays."""
    memory = scored.memory
    memory.cycles.append(cycle)
    memory.served_until, memory.asked_at_birth, memory.bought_at_birth = None, None, None
    recount(scored, new_id, since=None, why="it belongs to the next cycle")


def adopt_rules(scored: Scored, new_id: NewId) -> None:
    """Count a lead anew under rules it has not been counted under yet; they count from when they came into force."""
    assert scored.past is not None
    recount(scored, new_id, since=scored.rules_since, why=NEW_RULES)
    known = what_is_known(scored.past.card, scored.memory.learned)
    weigh(scored, known, scored.past.card_event, scored.rules_since, new_id, why=NEW_RULES)
    scored.rules_version = scored.rules.version


def what_is_known(card: Known, learned: Mapping[str, tuple[int, str]]) -> dict[str, str]:
    return {**card, **{f"learned.{about}": answer for about, (_, answer) in learned.items()}}


def _keep(memory: Memory, fact: Fact, rules: RuleSet) -> None:
    """Remember what a decision may need, also while somebody else decides."""
    if memory.cycle_of(fact) != memory.cycle:
        return
    details = fact.details
    if fact.activity == "purchase" and memory.bought is None:
        memory.bought = Bought(fact.at, details.get("value", ""), details.get("currency", ""))
    elif fact.activity == "flagged":
        memory.flagged = Flagged(fact.at, details.get("reason", ""))
    for request in rules.requests:
        known = {**details, "activity": fact.activity}
        if fact.activity in request.activities and (request.when is None or request.when.holds(known)):
            proven = {"true": True, "false": False}.get(details.get("contact_valid", ""))
            memory.asked = Asked(fact.at, request.code, request.reason, proven)


def _engagement_entry(award: Award, cycle: int, rules: RuleSet, new_id: NewId) -> Entry:
    return Entry(new_id(), "engagement", cycle, rules.version, award.at, award, reason_of(award, rules))


def _fit_entry(entry: FitEntry, reason: str) -> Entry:
    return Entry(entry.id, "fit", 0, entry.rule_version, entry.since, entry.award, reason)


def _add(scored: Scored, entry: Entry) -> None:
    scored.entries.append(entry)
    if scored.past is not None:
        scored.past.entries.append(entry)
