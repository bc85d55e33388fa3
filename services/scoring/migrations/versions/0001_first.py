"""Leads as scoring knows them, their points history and facts, and the versions of the rule set."""

from __future__ import annotations

from alembic import op

from shared.database import plumbing

revision = "0001"
down_revision = None

TABLES = (
    # One row a lead, rewritten with each of its events: the figures as last counted, and all that the next event needs.
    # Points are in tenths everywhere. `memory` is read and written whole, so it is text to the server.
    """CREATE TABLE scoring.state (
        lead_id uuid PRIMARY KEY, rules_version integer NOT NULL, as_of timestamptz NOT NULL,
        score integer NOT NULL, fit integer NOT NULL, engagement integer NOT NULL,
        grade text NOT NULL, temperature text NOT NULL, memory json NOT NULL
    ) WITH (fillfactor = 80)""",
    "CREATE INDEX state_rules ON scoring.state (rules_version)",
    # The points history: rows are only ever added, and erased with their lead. `at` is when it happened and decay
    # begins, `since` when it began to count. An entry that takes another one back names it.
    """CREATE TABLE scoring.entry (
        lead_id uuid NOT NULL, id uuid NOT NULL, kind text NOT NULL, cycle integer NOT NULL,
        rule text NOT NULL, rule_version integer NOT NULL, event_id uuid NOT NULL,
        at timestamptz NOT NULL, since timestamptz NOT NULL, tenths integer NOT NULL CHECK (tenths <> 0),
        half_life interval, reason text NOT NULL, retracts uuid,
        PRIMARY KEY (lead_id, id)
    )""",
    "CREATE UNIQUE INDEX entry_retracted_once ON scoring.entry (lead_id, retracts) WHERE retracts IS NOT NULL",
    # What leads did, as far as rules may ask: counted anew when the rules change or a fact comes late.
    """CREATE TABLE scoring.fact (
        lead_id uuid NOT NULL, event_id uuid NOT NULL, at timestamptz NOT NULL, activity text NOT NULL,
        details jsonb NOT NULL, PRIMARY KEY (lead_id, event_id)
    )""",
    # What is known of who a lead is, as far as rules may ask: answers and company, no name, address or message.
    """CREATE TABLE scoring.card (
        lead_id uuid PRIMARY KEY, event_id uuid NOT NULL, known jsonb NOT NULL
    ) WITH (fillfactor = 80)""",
    # What a lead was from a moment on.
    """CREATE TABLE scoring.mark (
        lead_id uuid NOT NULL, number bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL,
        stage text NOT NULL, cycle integer NOT NULL, grade text NOT NULL, temperature text NOT NULL,
        rules_version integer NOT NULL, PRIMARY KEY (lead_id, number)
    )""",
    # The rule set as it was sent; the newest version is live. Not jsonb: that would lose the order of the rules.
    """CREATE TABLE scoring.rules (
        version integer PRIMARY KEY, since timestamptz NOT NULL, actor text NOT NULL, body json NOT NULL
    )""",
)


def upgrade() -> None:
    for statement in (*plumbing("scoring"), *TABLES):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP SCHEMA scoring CASCADE")
    op.execute("DROP TABLE bus.scoring_log")
    op.execute("DROP SEQUENCE bus.scoring_pos")
