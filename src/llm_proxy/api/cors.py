"""Cross-origin requests, at no cost to programs that are not browsers."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Scope, Send

from llm_proxy.api.errors import error_response
from llm_proxy.errors import InvalidInputError

_ASKED = "access-control-request-method"
_OK = 200


class CrossOrigin(CORSMiddleware):
    """Starlette's CORS, for the requests that name an origin.

    Other answers need no ``Vary: Origin``: the API's may not be cached, and the files
    of the documentation are the same for every origin.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or not any(
            name == b"origin" for name, _ in scope["headers"]
        ):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["method"] == "OPTIONS" and _ASKED in headers:
            response = self.preflight_response(headers)
            if response.status_code != _OK:
                refusal = InvalidInputError("The origin, method or header is refused")
                response = error_response(refusal, scope)
            await response(scope, receive, send)
        else:
            await self.simple_response(scope, receive, send, headers)
