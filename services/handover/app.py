"""Gives leads that are ready to the right salesperson, and follows them to the money."""

from __future__ import annotations

from services.handover import api, handlers
from services.handover.domain.lead import SalesLead
from services.handover.repository import SalesLeads
from services.handover.settings import HandoverSettings
from shared.events import handover as said
from shared.events.capture import ActivityRecorded, CardChanged
from shared.events.scoring import ScoreChanged
from shared.events.stage import StageChanged
from shared.service import Service

service: Service[SalesLead] = Service(
    name="handover",
    consumes={
        CardChanged: handlers.keep_card,
        StageChanged: handlers.follow_stage,
        ScoreChanged: handlers.keep_score,
        ActivityRecorded: handlers.note_activity,
    },
    publishes=(
        StageChanged,
        said.Offered,
        said.Accepted,
        said.Returned,
        said.Expired,
        said.OpportunityOpened,
        said.Won,
        said.Lost,
        said.Disqualified,
        said.Fulfilled,
        said.Paid,
    ),
    repository=SalesLeads,
    routers=(api.router,),
    settings=HandoverSettings,
)
