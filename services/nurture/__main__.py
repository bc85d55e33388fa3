"""`python -m services.nurture [api] [consume] [relay] [migrate]`."""

from __future__ import annotations

from services.nurture.app import service
from shared.process import main

main(service)
