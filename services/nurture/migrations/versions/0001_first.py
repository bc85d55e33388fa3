"""People, their ways through journeys, touches and suppressions."""

from __future__ import annotations

from alembic import op

from shared.database import plumbing

revision = "0001"
down_revision = None

TABLES = [
    # What is needed of the card. `fingerprint` blinds the address as suppressions know it, empty without an address.
    """CREATE TABLE nurture.person (
        lead_id uuid PRIMARY KEY, email text NOT NULL, fingerprint text NOT NULL, name text NOT NULL,
        language text NOT NULL, consents jsonb NOT NULL, temperature text NOT NULL, score double precision
    ) WITH (fillfactor = 80)""",
    "CREATE INDEX person_address ON nurture.person (fingerprint) WHERE fingerprint <> ''",
    # Without `entered_at` the lead stands before the journey and enters when its wait is over, if it may.
    """CREATE TABLE nurture.enrolment (
        lead_id uuid NOT NULL, cycle integer NOT NULL, journey text NOT NULL, version integer NOT NULL,
        step text NOT NULL, trace text NOT NULL, entered_at timestamptz, waits_until timestamptz,
        ended_at timestamptz, ended_because text NOT NULL,
        PRIMARY KEY (lead_id, cycle, journey)
    ) WITH (fillfactor = 80)""",
    # `fingerprint` and `claimed_until` are those of the last claim.
    """CREATE TABLE nurture.touch (
        touch_id uuid PRIMARY KEY, lead_id uuid NOT NULL, cycle integer NOT NULL, journey text NOT NULL,
        step text NOT NULL, channel text NOT NULL, lane smallint NOT NULL, purpose text NOT NULL,
        delivery text NOT NULL CHECK (delivery IN ('at_most_once', 'at_least_once')),
        state text NOT NULL
            CHECK (state IN ('planned', 'claimed', 'sent', 'deferred', 'skipped', 'unknown', 'failed')),
        due_at timestamptz NOT NULL, at timestamptz NOT NULL, attempts integer NOT NULL,
        claimed_until timestamptz, fingerprint text NOT NULL DEFAULT '', message_id text NOT NULL,
        reason text NOT NULL, trace text NOT NULL,
        UNIQUE (lead_id, cycle, journey, step)
    ) WITH (fillfactor = 80)""",
    "CREATE INDEX touch_due ON nurture.touch (due_at) WHERE state IN ('planned', 'deferred')",
    "CREATE INDEX touch_in_hand ON nurture.touch (fingerprint, claimed_until) WHERE state = 'claimed'",
    "CREATE INDEX touch_to_look_at ON nurture.touch (state, at, touch_id) WHERE state IN ('unknown', 'failed')",
    # By blinded address, so that it outlives the erasure of the person; nothing ever deletes a row of it.
    """CREATE TABLE nurture.suppression (
        fingerprint text NOT NULL, purpose text NOT NULL, since timestamptz NOT NULL, reason text NOT NULL,
        PRIMARY KEY (fingerprint, purpose)
    )""",
]


def upgrade() -> None:
    for statement in [*plumbing("nurture"), *TABLES]:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP SCHEMA nurture CASCADE")
