"""`python -m services.scoring [api] [consume] [relay] [migrate]`."""

from __future__ import annotations

from services.scoring.app import service
from shared.process import main

main(service)
