"""Signing out ends a session and not only its cookie."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("CREATE TABLE insights.signed_out (session text PRIMARY KEY, until timestamptz NOT NULL)")


def downgrade() -> None:
    op.execute("DROP TABLE insights.signed_out")
