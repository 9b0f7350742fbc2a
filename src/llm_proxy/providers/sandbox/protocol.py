"""uvicorn's HTTP protocol, with a way for the application to hang up."""

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol


class SandboxProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # ty: ignore[unsupported-base]
    """Shows the application its connection, because ASGI has no word for hanging up.

    The transport stands in ``scope["state"]["transport"]``. Requests are not logged:
    the sandbox keeps its own record of them.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Take a new connection."""
        super().connection_made(transport)
        self.app_state: dict[str, Any] = {"transport": transport}
        self.access_log = False
