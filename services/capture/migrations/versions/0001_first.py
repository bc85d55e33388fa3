"""Leads and their cards, who is who, what was posted, visitors, sites, and the proof of consent and of erasure."""

from __future__ import annotations

from alembic import op

from shared.database import plumbing

revision = "0001"
down_revision = None

TABLES = [
    # The card as it now is; without a body it was erased. The log's readers take it from the view below.
    """CREATE TABLE capture.lead (
        lead_id uuid PRIMARY KEY, version bigint NOT NULL, body text, erasure_id text
    ) WITH (fillfactor = 80)""",
    "CREATE VIEW bus.card AS SELECT lead_id, version, body, erasure_id FROM capture.lead",
    # Whose a contact point is: 'e:' and an address, 'p:' and a number in E.164, 't' before it for tests.
    """CREATE TABLE capture.identity (
        key text PRIMARY KEY, lead_id uuid NOT NULL, has_email boolean NOT NULL
    ) WITH (fillfactor = 80)""",
    "CREATE INDEX identity_lead ON capture.identity (lead_id)",
    # What was posted, as it was understood; never changed.
    """CREATE TABLE capture.submission (
        submission_id uuid PRIMARY KEY, lead_id uuid NOT NULL, created boolean NOT NULL, site text NOT NULL,
        activity text NOT NULL, at timestamptz NOT NULL, received_at timestamptz NOT NULL, body text NOT NULL
    )""",
    "CREATE INDEX submission_lead ON capture.submission (lead_id)",
    """CREATE TABLE capture.consent_record (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, lead_id uuid NOT NULL, submission_id uuid,
        purpose text NOT NULL, granted boolean NOT NULL, text_hash text NOT NULL, site text NOT NULL,
        source text NOT NULL, at timestamptz NOT NULL, recorded_at timestamptz NOT NULL, ip_prefix text NOT NULL
    )""",
    "CREATE INDEX consent_record_lead ON capture.consent_record (lead_id)",
    # Messages and transcripts, which no event carries.
    """CREATE TABLE capture.note (
        activity_id uuid PRIMARY KEY, lead_id uuid NOT NULL, at timestamptz NOT NULL, text text NOT NULL
    )""",
    "CREATE INDEX note_lead ON capture.note (lead_id)",
    # Two leads that may be one person; somebody decides, nothing merges by itself.
    """CREATE TABLE capture.review (
        review_id uuid PRIMARY KEY, lead_id uuid NOT NULL, other_id uuid NOT NULL, reason text NOT NULL,
        noted_at timestamptz NOT NULL, UNIQUE (lead_id, other_id, reason)
    )""",
    "CREATE INDEX review_other ON capture.review (other_id)",
    """CREATE TABLE capture.quarantine (
        submission_id uuid PRIMARY KEY, reason text NOT NULL, site text NOT NULL, received_at timestamptz NOT NULL,
        keys text[] NOT NULL, body text NOT NULL, released_at timestamptz, lead_id uuid
    )""",
    "CREATE INDEX quarantine_keys ON capture.quarantine USING gin (keys)",
    # A visitor of a site is nobody until a submission with the same id says who it is.
    """CREATE TABLE capture.visitor (
        site text NOT NULL, visitor_id text NOT NULL, lead_id uuid, seen_at timestamptz NOT NULL,
        PRIMARY KEY (site, visitor_id)
    ) WITH (fillfactor = 80)""",
    "CREATE INDEX visitor_lead ON capture.visitor (lead_id) WHERE lead_id IS NOT NULL",
    "CREATE INDEX visitor_seen ON capture.visitor (seen_at)",
    """CREATE TABLE capture.visit (
        activity_id uuid PRIMARY KEY, site text NOT NULL, visitor_id text NOT NULL, at timestamptz NOT NULL,
        body text NOT NULL
    )""",
    "CREATE INDEX visit_visitor ON capture.visit (site, visitor_id, at)",
    """CREATE TABLE capture.site (
        key text PRIMARY KEY, name text NOT NULL, origins text[] NOT NULL, policy text NOT NULL,
        test boolean NOT NULL, product text NOT NULL, region text NOT NULL, changed_at timestamptz NOT NULL
    )""",
    # Answers to be given again for a day.
    """CREATE TABLE capture.repeatable (
        holder text NOT NULL, key text NOT NULL, body_hash bytea NOT NULL, answer text NOT NULL,
        answered_at timestamptz NOT NULL, PRIMARY KEY (holder, key)
    )""",
    "CREATE INDEX repeatable_age ON capture.repeatable (answered_at)",
    """CREATE TABLE capture.erasure (
        erasure_id uuid PRIMARY KEY, lead_id uuid NOT NULL UNIQUE, asked_at timestamptz NOT NULL
    )""",
    """CREATE TABLE capture.erasure_done (
        erasure_id uuid NOT NULL, service text NOT NULL, done_at timestamptz NOT NULL, removed jsonb NOT NULL,
        PRIMARY KEY (erasure_id, service)
    )""",
    """CREATE TABLE capture.day_count (
        site text NOT NULL, day date NOT NULL, what text NOT NULL, source text NOT NULL, conversion_point text NOT NULL,
        count bigint NOT NULL, PRIMARY KEY (site, day, what, source, conversion_point)
    ) WITH (fillfactor = 80)""",
    # An import of a file: how far it has come, so that one that was stopped goes on there.
    """CREATE TABLE capture.import_run (
        run_id uuid PRIMARY KEY, key text NOT NULL, file text NOT NULL, site text NOT NULL, start text NOT NULL,
        started_at timestamptz NOT NULL, place_offset bigint NOT NULL, place_line bigint NOT NULL,
        read boolean NOT NULL, report text NOT NULL, finished_at timestamptz
    )""",
    "CREATE UNIQUE INDEX import_run_unfinished ON capture.import_run (key) WHERE finished_at IS NULL",
    # Facts that were imported, by a hash of the row they stood in: no row is taken twice, by whichever run.
    "CREATE TABLE capture.import_fact (key text PRIMARY KEY)",
    # Leads of a run that is not finished; each is judged once at its end.
    """CREATE TABLE capture.import_lead (
        run_id uuid NOT NULL, lead_id uuid NOT NULL, PRIMARY KEY (run_id, lead_id)
    )""",
    "CREATE INDEX import_lead_lead ON capture.import_lead (lead_id)",
    # Rows that a run did not take, until they are in its error file.
    """CREATE TABLE capture.import_refused (
        run_id uuid NOT NULL, number bigint GENERATED ALWAYS AS IDENTITY, line bigint NOT NULL, cells text[] NOT NULL,
        raw text NOT NULL, problems jsonb NOT NULL, PRIMARY KEY (run_id, number)
    )""",
    # Stage events of other owners; with those of the own log the whole topic can be told again.
    """CREATE TABLE capture.stage_heard (
        lead_id uuid NOT NULL, seq bigint NOT NULL, event_id uuid NOT NULL, attributes text NOT NULL,
        body text NOT NULL, PRIMARY KEY (lead_id, seq)
    )""",
]


def upgrade() -> None:
    for statement in [*plumbing("capture"), *TABLES]:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP VIEW bus.card")
    op.execute("DROP TABLE bus.capture_log")
    op.execute("DROP SEQUENCE bus.capture_pos")
    op.execute("DROP SCHEMA capture CASCADE")
