from alembic import context

from shared.migrations import run

run(context, "insights")
