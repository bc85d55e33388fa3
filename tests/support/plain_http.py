"""For clients of the servers that tests start, none of which speaks TLS."""

from __future__ import annotations

import ssl

NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""As `verify` of an httpx client, which would otherwise read the certificates of the world: 50 ms for each client."""
