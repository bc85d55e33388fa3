"""The topics of Leadline, who speaks on each, and the lanes a lead's events travel in."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID


class Topic(StrEnum):
    """A topic name is also the Kafka topic's name. The key is the lead id, on `leads.market` the site."""

    CARD = "leads.card"
    ACTIVITY = "leads.activity"
    STAGE = "leads.stage"
    SCORE = "leads.score"
    NURTURE = "leads.nurture"
    HANDOVER = "leads.handover"
    PRIVACY = "leads.privacy"
    MARKET = "leads.market"

    @property
    def word(self) -> str:
        """The middle word of the topic's event types: `stage` in `io.leadline.stage.changed.v1`."""
        return self.value.partition(".")[2]


SERVICES = ("capture", "scoring", "nurture", "handover", "insights")

# Who may say something on a topic. On `leads.stage` only the owner of the lead's present stage does.
SPEAKERS: dict[Topic, frozenset[str]] = {
    Topic.CARD: frozenset({"capture"}),
    Topic.ACTIVITY: frozenset({"capture"}),
    Topic.STAGE: frozenset({"capture", "scoring", "handover"}),
    Topic.SCORE: frozenset({"scoring"}),
    Topic.NURTURE: frozenset({"nurture"}),
    Topic.HANDOVER: frozenset({"handover"}),
    Topic.PRIVACY: frozenset(SERVICES),
    Topic.MARKET: frozenset({"capture"}),
}

# Topics whose events are numbered per lead by their one speaker.
COUNTED = (Topic.ACTIVITY, Topic.SCORE, Topic.NURTURE, Topic.HANDOVER)

# Never changed: log positions, Kafka partitions and timers are all shared out by lane.
LANES = 64


def lane_of(key: UUID) -> int:
    """The lane of a lead: the last byte of its id modulo 64."""
    return key.bytes[-1] % LANES
