"""The first tables."""

from __future__ import annotations

from alembic import op

from shared.database import plumbing

revision = "0001"
down_revision = None

TABLES = [
    # One row per lead as it now is. What the card says of the person is here for the console and for nothing else.
    """CREATE TABLE insights.lead (
        lead_id uuid PRIMARY KEY,
        site text NOT NULL, source text NOT NULL, channel text NOT NULL, medium text NOT NULL, campaign text NOT NULL,
        test boolean NOT NULL, stage text NOT NULL, cycle integer NOT NULL, last_on_line text NOT NULL,
        score double precision, temperature text NOT NULL, scored_at timestamptz,
        name text NOT NULL, company text NOT NULL, email text NOT NULL, phone text NOT NULL,
        role text NOT NULL, noted jsonb NOT NULL, words tsvector NOT NULL, rep text NOT NULL,
        seen_at timestamptz, created_at timestamptz, updated_at timestamptz, moved_at timestamptz
    ) WITH (fillfactor = 80)""",
    # Only a stage change moves a lead in the lists; all else leaves the indexes alone.
    "CREATE INDEX lead_newest ON insights.lead (moved_at DESC, lead_id DESC) WHERE stage <> ''",
    "CREATE INDEX lead_newest_of_stage ON insights.lead (stage, moved_at DESC, lead_id DESC)",
    "CREATE INDEX lead_words ON insights.lead USING gin (words)",
    # What was heard of a lead, in the order in which it happened. An event's time never changes, so the key also
    # keeps an event that is brought twice from standing here twice.
    """CREATE TABLE insights.timeline (
        lead_id uuid NOT NULL, at timestamptz NOT NULL, event_id uuid NOT NULL, recorded timestamptz NOT NULL,
        type text NOT NULL, source text NOT NULL, data jsonb NOT NULL, PRIMARY KEY (lead_id, at, event_id)
    )""",
    # When a lead first was in a stage, in each of its cycles. `day` is that moment's in the installation's timezone.
    """CREATE TABLE insights.reached (
        lead_id uuid NOT NULL, cycle integer NOT NULL, stage text NOT NULL, product text NOT NULL,
        at timestamptz NOT NULL, day date NOT NULL, entered integer NOT NULL, PRIMARY KEY (lead_id, cycle, stage)
    ) WITH (fillfactor = 80)""",
    # The same of going back on the main line; `word` says how.
    """CREATE TABLE insights.went_back (
        lead_id uuid NOT NULL, cycle integer NOT NULL, from_stage text NOT NULL, to_stage text NOT NULL,
        word text NOT NULL, at timestamptz NOT NULL, day date NOT NULL, times integer NOT NULL,
        PRIMARY KEY (lead_id, cycle, from_stage, to_stage, word)
    ) WITH (fillfactor = 80)""",
    # The sums of the two above, so that a funnel is read without looking at every lead; -infinity is the day of what
    # is true now. Shards keep hearers that run side by side from waiting for each other's sums.
    """CREATE TABLE insights.tally (
        day date NOT NULL, test boolean NOT NULL, measure text NOT NULL, site text NOT NULL, source text NOT NULL,
        channel text NOT NULL, campaign text NOT NULL, product text NOT NULL, shard smallint NOT NULL,
        leads bigint NOT NULL, PRIMARY KEY (day, test, measure, site, source, channel, campaign, product, shard)
    ) WITH (fillfactor = 50)""",
    # Every stage change, numbered by one writer at a time, so that no number comes to be seen after a higher one.
    "CREATE SEQUENCE insights.flow_pos",
    """CREATE TABLE insights.flow (
        pos bigint PRIMARY KEY, lead_id uuid NOT NULL, seq bigint NOT NULL, cycle integer NOT NULL,
        from_stage text NOT NULL, to_stage text NOT NULL, reason text NOT NULL, value text NOT NULL,
        currency text NOT NULL, at timestamptz NOT NULL, history boolean NOT NULL, UNIQUE (lead_id, seq)
    )""",
    "CREATE INDEX flow_live ON insights.flow (pos) WHERE NOT history",
    # What a day brought to a site, or cost it; the newest figure stands.
    """CREATE TABLE insights.market_day (
        site text NOT NULL, day date NOT NULL, what text NOT NULL, source text NOT NULL, conversion_point text NOT NULL,
        currency text NOT NULL, count bigint NOT NULL, amount numeric NOT NULL, recorded timestamptz NOT NULL,
        PRIMARY KEY (site, day, what, source, conversion_point, currency)
    )""",
    # Up to when everything was heard, for processes that serve without hearing.
    "CREATE TABLE insights.heard (lane smallint PRIMARY KEY, until timestamptz NOT NULL) WITH (fillfactor = 20)",
    "INSERT INTO insights.heard SELECT lane, 'epoch' FROM generate_series(0, 63) lane",
]


def upgrade() -> None:
    for statement in [*plumbing("insights"), *TABLES]:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP SCHEMA insights CASCADE")
    op.execute("DROP TABLE bus.insights_log CASCADE")
    op.execute("DROP SEQUENCE bus.insights_pos")
