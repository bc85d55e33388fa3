"""Capture: is this a lead, and whose? What it hears, says, times and serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.middleware import Middleware
from starlette.routing import Route

from services.capture import demo, handlers, intake, upkeep, views
from services.capture.activities import post_activities
from services.capture.api import routers
from services.capture.cors import SiteCors
from services.capture.described import descriptions
from services.capture.pages import STATIC
from services.capture.posting import THANKS, post_lead
from services.capture.repository import CaptureRepository, Record
from services.capture.room import room_in
from services.capture.settings import CaptureSettings
from shared.events.capture import ActivityRecorded, CardChanged, CardErased, DayCounted
from shared.events.handover import Learned
from shared.events.nurture import Bounced, Unsubscribed
from shared.events.privacy import ErasureDone
from shared.events.stage import StageChanged
from shared.pages import static_files
from shared.service import Runtime, Service

_LEADS, _ACTIVITIES, _VIEWS = "/v1/leads", "/v1/activities", "/v1/views"


def _web(runtime: Runtime[Record]) -> Mapping[str, Any]:
    origins = room_in(runtime).sites.origins
    return {
        "body_bytes": {_ACTIVITIES: 1_000_000},
        "middleware": [Middleware(SiteCors, allowed_origins=origins, paths=(_LEADS, _ACTIVITIES, _VIEWS))],
    }


service = Service[Record](
    name="capture",
    consumes={
        StageChanged: handlers.adopt_stage,
        Unsubscribed: handlers.take_back_consent,
        Bounced: handlers.stop_writing,
        Learned: handlers.learn,
        ErasureDone: handlers.note_erasure,
    },
    publishes=(CardChanged, CardErased, ActivityRecorded, StageChanged, DayCounted),
    repository=CaptureRepository,
    timers={handlers.UNCONFIRMED: handlers.disqualify_unconfirmed},
    serving=(intake.write, upkeep.seed, upkeep.tidy, views.tell_views),
    settings=CaptureSettings,
    web=_web,
    routers=routers,
    routes=(
        Route(_LEADS, post_lead, methods=["POST"]),
        Route(_ACTIVITIES, post_activities, methods=["POST"]),
        Route(_VIEWS, views.post_view, methods=["POST"]),
        *descriptions(),
        Route("/", demo.front),
        Route("/demo", demo.landing),
        Route("/demo/thanks", demo.thanks),
        Route("/demo/form", demo.how_to_copy),
        Route(THANKS, demo.received),
        *static_files("capture", STATIC),
    ),
)
