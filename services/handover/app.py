"""Gives leads that are ready to the right salesperson, and follows them to the money."""

from __future__ import annotations

from services.handover import api, desk, handlers, heartbeat, mailer, rep_pages, streaming
from services.handover.domain.lead import SalesLead
from services.handover.moving import EXPIRY
from services.handover.pages import STATIC
from services.handover.repository import SalesLeads
from services.handover.settings import HandoverSettings
from shared.events import handover as said
from shared.events.capture import ActivityRecorded, CardChanged
from shared.events.scoring import ScoreChanged
from shared.events.stage import StageChanged
from shared.pages import static_files
from shared.service import Runtime, Service


def equip(runtime: Runtime[SalesLead]) -> None:
    settings, repository = runtime.settings, runtime.leads.repository
    assert isinstance(settings, HandoverSettings)
    assert isinstance(repository, SalesLeads)
    repository.kept_mails, repository.sender_domain = settings.data_dir / "mail", settings.sender_domain


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
    timers={EXPIRY: handlers.expire},
    routers=(*api.routers, streaming.router),
    routes=(*rep_pages.routes, *static_files("handover", STATIC)),
    tasks=(desk.run, mailer.run),
    serving=(heartbeat.run, streaming.watch),
    settings=HandoverSettings,
    equip=equip,
)
