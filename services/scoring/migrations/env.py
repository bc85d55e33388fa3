from alembic import context

from shared.migrations import run

run(context, "scoring")  # pyright: ignore[reportArgumentType] - a module that acts as the context
