"""The first tables."""

from __future__ import annotations

from alembic import op

from shared.database import plumbing

revision = "0001"
down_revision = None

TABLES = [
    # `turn` is the number of the last offer made to this rep: the lowest is next.
    """CREATE TABLE handover.rep (
        rep_id uuid PRIMARY KEY, name text NOT NULL, email text NOT NULL, phone text NOT NULL DEFAULT '',
        products text[] NOT NULL DEFAULT '{}', capacity integer, active boolean NOT NULL DEFAULT true,
        fallback boolean NOT NULL DEFAULT false, turn bigint NOT NULL DEFAULT 0, created_at timestamptz NOT NULL
    ) WITH (fillfactor = 80)""",
    "CREATE UNIQUE INDEX rep_email ON handover.rep (lower(email))",
    "CREATE UNIQUE INDEX rep_fallback ON handover.rep (fallback) WHERE fallback",
    """CREATE TABLE handover.lead (
        lead_id uuid PRIMARY KEY,
        stage text NOT NULL DEFAULT '', test boolean NOT NULL DEFAULT false,
        score double precision, temperature text NOT NULL DEFAULT '', rank smallint NOT NULL DEFAULT 3,
        scored_at timestamptz, cycle integer NOT NULL DEFAULT 0, listed boolean NOT NULL DEFAULT false,
        since timestamptz, reason text NOT NULL DEFAULT '', asked_for text NOT NULL DEFAULT '', asked_at timestamptz,
        cause_id text NOT NULL DEFAULT '', trace text NOT NULL DEFAULT '',
        attempts integer NOT NULL DEFAULT 0, waits_for text NOT NULL DEFAULT '',
        owner uuid, offer_id uuid, due_at timestamptz,
        value text NOT NULL DEFAULT '', currency text NOT NULL DEFAULT '',
        fulfilled_at timestamptz, paid_at timestamptz,
        -- Nothing asks for these by their value: the score's reasons, who refused, facts to be acted on.
        rest jsonb NOT NULL DEFAULT '{}'
    ) WITH (fillfactor = 80)""",
    # The worklist, all of it and one rep's: hottest first, then the higher score, then who waits longest.
    """CREATE INDEX lead_worklist ON handover.lead (test, rank, (-coalesce(score, 0)), since, lead_id)
        WHERE listed""",
    """CREATE INDEX lead_worklist_of_rep ON handover.lead (owner, test, rank, (-coalesce(score, 0)), since, lead_id)
        WHERE listed AND owner IS NOT NULL""",
    # What the desk offers next, and what it could not offer yet.
    """CREATE INDEX lead_to_offer ON handover.lead (rank, (-coalesce(score, 0)), since, lead_id)
        WHERE listed AND NOT test AND stage = 'sql' AND waits_for = ''""",
    """CREATE INDEX lead_waiting ON handover.lead (rank, (-coalesce(score, 0)), since, lead_id)
        WHERE listed AND NOT test AND stage = 'sql' AND waits_for <> ''""",
    "CREATE INDEX lead_on_offer ON handover.lead (due_at) WHERE due_at IS NOT NULL",
    """CREATE TABLE handover.card (
        lead_id uuid PRIMARY KEY, version bigint NOT NULL, name text NOT NULL, company text NOT NULL,
        email text NOT NULL, phone text NOT NULL, language text NOT NULL, message text NOT NULL, answers jsonb NOT NULL
    ) WITH (fillfactor = 80)""",
    """CREATE TABLE handover.offer (
        offer_id uuid PRIMARY KEY, lead_id uuid NOT NULL, rep_id uuid NOT NULL, cycle integer NOT NULL,
        attempt integer NOT NULL, offered_at timestamptz NOT NULL, due_at timestamptz, route text NOT NULL,
        why text NOT NULL, state text NOT NULL, answered_at timestamptz, ended_at timestamptz,
        reason text NOT NULL DEFAULT '', note text
    ) WITH (fillfactor = 80)""",
    "CREATE INDEX offer_of_lead ON handover.offer (lead_id, offered_at)",
    # Mails to reps, written with the offer they tell of; the text is made when it is sent, so none is kept here.
    """CREATE TABLE handover.mail (
        mail_id uuid PRIMARY KEY, lead_id uuid NOT NULL, offer_id uuid NOT NULL, rep_id uuid NOT NULL,
        trace text NOT NULL DEFAULT '', state text NOT NULL DEFAULT 'waiting', attempts integer NOT NULL DEFAULT 0,
        due_at timestamptz NOT NULL, created_at timestamptz NOT NULL, sent_at timestamptz,
        error text NOT NULL DEFAULT ''
    ) WITH (fillfactor = 80)""",
    "CREATE INDEX mail_due ON handover.mail (due_at) WHERE state IN ('waiting', 'sending')",
    "CREATE INDEX mail_of_lead ON handover.mail (lead_id)",
    # All stage changes and all that handover says, numbered by one writer at a time.
    """CREATE TABLE handover.feed (
        pos bigint PRIMARY KEY, event_id uuid NOT NULL UNIQUE, lead_id uuid NOT NULL, type text NOT NULL,
        fed_at timestamptz NOT NULL, event text NOT NULL
    )""",
    "CREATE INDEX feed_at ON handover.feed (fed_at, pos)",
    "CREATE INDEX feed_of_lead ON handover.feed (lead_id, pos)",
    # When the service could last answer; no row before it first did.
    """CREATE TABLE handover.heartbeat (
        one boolean PRIMARY KEY DEFAULT true CHECK (one), beat_at timestamptz NOT NULL
    ) WITH (fillfactor = 10)""",
]


def upgrade() -> None:
    for statement in [*plumbing("handover"), *TABLES]:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP SCHEMA handover CASCADE")
    op.execute("DROP TABLE bus.handover_log CASCADE")
    op.execute("DROP SEQUENCE bus.handover_pos")
