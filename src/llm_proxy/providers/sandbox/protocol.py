"""uvicorn's HTTP protocol, with a way for the application to hang up."""

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

# How a TLS handshake begins (RFC 8446, 5.1); the name of the host follows later.
_CLIENT_HELLO = b"\x16\x03"
_IGNORED_HOST = b"localhost"


class SandboxProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # ty: ignore[unsupported-base]
    """Shows the application its connection, because ASGI has no word for hanging up.

    The transport stands in ``scope["state"]["transport"]``. Requests are not logged:
    the sandbox keeps its own record of them. A TLS handshake with ``localhost`` is
    never answered.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Take a new connection."""
        super().connection_made(transport)
        self.app_state: dict[str, Any] = {"transport": transport}
        self.access_log = False

    def data_received(self, data: bytes) -> None:
        """Take bytes of requests, or of a handshake."""
        if not (data.startswith(_CLIENT_HELLO) and _IGNORED_HOST in data):
            super().data_received(data)
