"""Shows what happened: timelines, the funnel, the console. It hears everything and moves nothing."""

from __future__ import annotations

from services.insights import (
    answers,
    api,
    console,
    handlers,
    heard,
    looking_after,
    mails,
    nowhere,
    quarantine,
    signing_in,
    worklist,
)
from services.insights.attempts import Attempts
from services.insights.domain.lead import LeadView
from services.insights.pages import STATIC, console_pages
from services.insights.repository import LeadViews
from services.insights.services import Services
from services.insights.session import SignedIn
from services.insights.settings import InsightsSettings
from services.insights.signed_out import SignedOut
from services.insights.stream import StageStream
from shared.events import handover, nurture
from shared.events.capture import ActivityRecorded, CardChanged, DayCounted
from shared.events.privacy import ErasureDone
from shared.events.scoring import ScoreChanged
from shared.events.stage import StageChanged
from shared.pages import static_files
from shared.service import Runtime, Service

DEEDS = (ActivityRecorded, nurture.Opened, nurture.Clicked)
NAMING = (handover.Offered, handover.Accepted, handover.Returned, handover.Expired)
WRITTEN_DOWN = (
    nurture.Enrolled,
    nurture.Sent,
    nurture.Deferred,
    nurture.Bounced,
    nurture.Unsubscribed,
    nurture.Exited,
    handover.Contacted,
    handover.OpportunityOpened,
    handover.Won,
    handover.Lost,
    handover.Disqualified,
    handover.Fulfilled,
    handover.Paid,
    handover.Learned,
)


def equip(runtime: Runtime[LeadView]) -> None:
    settings, views = runtime.settings, runtime.leads.repository
    assert isinstance(settings, InsightsSettings)
    assert isinstance(views, LeadViews)
    views.zone = settings.timezone
    runtime.attached["pages"] = console_pages(settings.timezone)
    runtime.attached["signed_in"] = SignedIn(settings)
    runtime.attached["signed_out"] = SignedOut(runtime.database)
    runtime.attached["attempts"] = Attempts()
    runtime.attached["services"] = Services(settings)
    runtime.attached["stream"] = StageStream(runtime.database, settings.stream_readers)


async def follow_stages(runtime: Runtime[LeadView]) -> None:
    stream: StageStream = runtime.attached["stream"]
    await stream.run()


service: Service[LeadView] = Service(
    name="insights",
    consumes={
        CardChanged: handlers.keep_card,
        StageChanged: handlers.follow_stage,
        ScoreChanged: handlers.keep_score,
        **dict.fromkeys(DEEDS, handlers.note_deed),
        **dict.fromkeys(NAMING, handlers.name_rep),
        **dict.fromkeys(WRITTEN_DOWN, handlers.write_down),
        ErasureDone: handlers.note_erasure,
        DayCounted: handlers.count_day,
    },
    publishes=(),
    repository=LeadViews,
    routers=(
        *api.routers,
        signing_in.router,
        *console.routers,
        worklist.router,
        answers.router,
        mails.router,
        *quarantine.routers,
        *looking_after.routers,
        nowhere.router,
    ),
    routes=static_files("insights", STATIC),
    tasks=(heard.keep_marks,),
    serving=(follow_stages,),
    settings=InsightsSettings,
    equip=equip,
)
