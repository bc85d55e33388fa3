"""Decides how good a lead is, how warm, and when it is ready for sales."""

from __future__ import annotations

from services.scoring import api, handlers, rescoring, verdict
from services.scoring.domain.scored import Scored
from services.scoring.repository import Repository
from shared.events.capture import ActivityRecorded, CardChanged
from shared.events.handover import Contacted, Learned
from shared.events.nurture import Bounced, Clicked, Opened, Unsubscribed
from shared.events.scoring import ScoreChanged
from shared.events.stage import StageChanged
from shared.service import Service

service: Service[Scored] = Service(
    name="scoring",
    consumes={
        CardChanged: handlers.hear_card,
        ActivityRecorded: handlers.hear_activity,
        StageChanged: handlers.hear_stage,
        Opened: handlers.hear_opened,
        Clicked: handlers.hear_clicked,
        Bounced: handlers.hear_bounced,
        Unsubscribed: handlers.hear_unsubscribed,
        Contacted: handlers.hear_contacted,
        Learned: handlers.hear_learned,
    },
    publishes=(ScoreChanged, StageChanged),
    repository=Repository,
    timers={verdict.COOL: handlers.cooled, verdict.HOLD: handlers.hold_ended},
    routers=api.routers,
    tasks=(rescoring.rescore,),
    web=lambda _runtime: {"body_bytes": {"/v1/rules": 256_000}},
)
