"""What came in some days is found without looking at every lead."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("CREATE INDEX reached_first ON insights.reached (day) WHERE stage IN ('captured', 'registered')")


def downgrade() -> None:
    op.execute("DROP INDEX insights.reached_first")
