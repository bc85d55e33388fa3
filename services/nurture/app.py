"""Keeps talking to leads that are not ready yet: journeys, mails, and the right to be left alone."""

from __future__ import annotations

from services.nurture import api, courses, handlers, unsubscribe_page
from services.nurture.domain.nurtured import Nurtured
from services.nurture.journey_files import JOURNEYS
from services.nurture.letters import Letters, Links
from services.nurture.mailing import Mailing
from services.nurture.pages import FOLDER, STATIC
from services.nurture.repository import Repository
from services.nurture.settings import NurtureSettings
from shared.events import nurture as said
from shared.events.capture import ActivityRecorded, CardChanged
from shared.events.handover import Offered
from shared.events.scoring import ScoreChanged
from shared.events.stage import StageChanged
from shared.mail import Mailer
from shared.pages import static_files, templates
from shared.service import Runtime, Service

pages = templates(FOLDER)


def equip(runtime: Runtime[Nurtured]) -> None:
    settings, repository = runtime.settings, runtime.leads.repository
    assert isinstance(settings, NurtureSettings)
    assert isinstance(repository, Repository)
    repository.equip(settings.secret, settings.sender_domain, settings.kept_mails)
    _letters(settings).check(JOURNEYS.values())


async def send_mails(runtime: Runtime[Nurtured]) -> None:
    await mailing(runtime).run()


def mailing(runtime: Runtime[Nurtured]) -> Mailing:
    settings = runtime.settings
    assert isinstance(settings, NurtureSettings)
    mailer = Mailer(settings.smtp_url, settings.kept_mails)
    return Mailing(runtime, mailer, _letters(settings), real=settings.smtp_url is not None)


def _letters(settings: NurtureSettings) -> Letters:
    links = Links(settings.public_url_of("nurture"), settings.secret)
    return Letters(pages, settings.sender, settings.company, links)


service: Service[Nurtured] = Service(
    name="nurture",
    consumes={
        CardChanged: handlers.know_person,
        StageChanged: handlers.follow_stage,
        ScoreChanged: handlers.know_score,
        ActivityRecorded: handlers.start_after_import,
        Offered: handlers.make_way_for_sales,
    },
    publishes=(said.Enrolled, said.Sent, said.Deferred, said.Bounced, said.Unsubscribed, said.Exited),
    repository=Repository,
    timers={courses.NEXT_STEP: handlers.next_step},
    tasks=(send_mails,),
    routers=api.routers,
    routes=(*unsubscribe_page.routes(pages), *static_files("nurture", STATIC)),
    settings=NurtureSettings,
    # Whoever wants no more mail is heard also in a crowd.
    web=lambda _runtime: {"always": (unsubscribe_page.PATH,)},
    equip=equip,
)
