"""`python -m services.insights [api] [consume] [relay] [migrate]`"""

from __future__ import annotations

from services.insights.app import service
from shared.process import main

if __name__ == "__main__":
    main(service)
