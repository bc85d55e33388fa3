"""A container's health check: exits 0 when the service in it answers `/livez`, 1 when not.

Started every few seconds, so it imports only the standard library.
"""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Mapping

PORTS = {"capture": 8001, "scoring": 8002, "nurture": 8003, "handover": 8004, "insights": 8005}


def port(environment: Mapping[str, str]) -> int:
    """The port of the service named in `SERVICE`: `CAPTURE_PORT` and so on, else its default."""
    service = environment["SERVICE"]
    return int(environment.get(f"{service.upper()}_PORT") or PORTS[service])


def alive(at_port: int) -> bool:
    """Whether the service on this port answers 200 within two seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", at_port, timeout=2)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if alive(port(os.environ)) else 1)
