"""`python -m services.handover [api] [consume] [relay] [migrate]`"""

from __future__ import annotations

from services.handover.app import service
from shared.process import main

if __name__ == "__main__":
    main(service)
