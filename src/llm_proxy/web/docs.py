"""Swagger UI at `/docs`, from files of our own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from llm_proxy.errors import NotFoundError

_STATIC = Path(__file__).parent / "static"
_MEDIA_TYPES = {
    "docs.js": "text/javascript",
    "favicon.png": "image/png",
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
}
# Swagger UI draws its icons from data URLs, and calls us.
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def install_docs(
    app: FastAPI,
    document: Callable[[], dict[str, Any]],
    admit: Callable[[Request], None],
) -> None:
    """Serve the documentation and what it needs.

    Args:
        app: Where to install the routes.
        document: Makes the OpenAPI document.
        admit: Lets a request in, or raises.
    """
    page = (_STATIC / "docs.html").read_bytes()

    async def docs(request: Request) -> Response:
        admit(request)
        headers = {"content-security-policy": _CSP}
        return Response(page, media_type="text/html", headers=headers)

    async def openapi(request: Request) -> Response:
        admit(request)
        return Response(orjson.dumps(document()), media_type="application/json")

    async def static(request: Request) -> Response:
        admit(request)
        name = request.path_params["name"]
        media_type = _MEDIA_TYPES.get(name)
        if media_type is None:
            raise NotFoundError
        headers = {"cache-control": "public, max-age=86400"}
        # A few files, read by people: not worth a thread or a place in memory.
        content = (_STATIC / name).read_bytes()
        return Response(content, media_type=media_type, headers=headers)

    for path, endpoint in (
        ("/docs", docs),
        ("/openapi.json", openapi),
        ("/docs/static/{name}", static),
    ):
        app.router.routes.append(_Shown(path, endpoint))


class _Shown(Route):
    """A route that leaves itself in the scope, for who asks what it is."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        child_scope["route"] = self
        return match, child_scope
