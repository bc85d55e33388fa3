"""The baseline of the intake: what one writes first with FastAPI and an ORM, one session and one commit a request.

It keeps less, in the plainest way: find or make the person, keep the submission's key, keep the event and queue it. It
validates with Pydantic and answers 202 after the commit.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, Header
from pydantic import BaseModel, EmailStr
from sqlalchemy import DateTime, ForeignKey, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from shared.database import sqlalchemy_url


class Base(DeclarativeBase):
    type_annotation_map = {dict[str, Any]: JSONB}  # noqa: RUF012 - SQLAlchemy's own declaration


class Lead(Base):
    __tablename__ = "naive_lead"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str | None]
    company: Mapped[str | None]
    answers: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=lambda: datetime.now(UTC))
    events: Mapped[list[Event]] = relationship(back_populates="lead")


class Key(Base):
    __tablename__ = "naive_key"
    key: Mapped[str] = mapped_column(primary_key=True)
    lead_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("naive_lead.id"))


class Event(Base):
    __tablename__ = "naive_event"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    lead_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("naive_lead.id"), index=True)
    type: Mapped[str]
    body: Mapped[dict[str, Any]]
    lead: Mapped[Lead] = relationship(back_populates="events")


class Outbox(Base):
    __tablename__ = "naive_outbox"
    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("naive_event.id"))


class Submission(BaseModel):
    email: EmailStr
    name: str | None = None
    company: str | None = None
    fields: dict[str, str] = {}
    activity: dict[str, Any] = {}
    source: dict[str, Any] = {}
    consent: dict[str, Any] = {}


engine = create_async_engine(sqlalchemy_url(os.environ["DATABASE_URL"]), pool_size=20, max_overflow=0)
Session = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


async def session() -> AsyncGenerator[AsyncSession]:
    async with Session() as opened:
        yield opened


@app.get("/readyz")
async def readyz() -> dict[str, bool]:
    return {"ready": True}


@app.post("/v1/leads", status_code=202)
async def take(
    submission: Submission,
    db: Annotated[AsyncSession, Depends(session, scope="function")],
    idempotency_key: Annotated[str, Header()],
) -> dict[str, str]:
    known = await db.get(Key, idempotency_key)
    if known is not None:
        return {"lead_id": str(known.lead_id)}
    lead = (await db.scalars(select(Lead).where(Lead.email == submission.email.lower()))).first()
    if lead is None:
        lead = Lead(email=submission.email.lower(), answers={})
        db.add(lead)
        await db.flush()
    lead.name, lead.company = submission.name, submission.company
    lead.answers = {**lead.answers, **submission.fields}
    event = Event(lead_id=lead.id, type="submitted", body=submission.model_dump(mode="json"))
    db.add_all([event, Key(key=idempotency_key, lead_id=lead.id)])
    await db.flush()
    db.add(Outbox(event_id=event.id))
    await db.commit()
    return {"lead_id": str(lead.id)}


async def prepare() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


if __name__ == "__main__":
    import asyncio

    async def serve() -> None:
        await prepare()
        config = uvicorn.Config(app, port=int(os.environ["PORT"]), access_log=False, log_level="warning")
        await uvicorn.Server(config).serve()

    asyncio.run(serve())
