"""Cross-origin requests, at no cost to programs that are not browsers."""

from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Scope, Send


class CrossOrigin(CORSMiddleware):
    """Starlette's CORS, for the requests that name an origin.

    Other answers need no ``Vary: Origin``, because none of ours may be cached.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "http" and any(
            name == b"origin" for name, _ in scope["headers"]
        ):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)
