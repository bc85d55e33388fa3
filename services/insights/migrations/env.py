from alembic import context

from shared.migrations import run

run(context, "insights")  # pyright: ignore[reportArgumentType] - a module that acts as the context
