"""What the service says about itself: health, readiness, models, metrics."""

from fastapi import Request, Response

from llm_proxy import __version__
from llm_proxy.accounting import Accounts
from llm_proxy.api.admission import admit, admit_anyone
from llm_proxy.api.response import json_response
from llm_proxy.drain import Drain
from llm_proxy.errors import ForbiddenError
from llm_proxy.routing import Catalog
from llm_proxy.settings import Settings
from llm_proxy.telemetry import CONTENT_TYPE, Metrics
from llm_proxy.variables import HOSTED


async def health(request: Request) -> Response:
    """Say that the service runs, in which version and where; asks nobody else."""
    admit_anyone(request, "health")
    settings: Settings = request.app.state.settings
    return json_response(
        {
            "status": "ok",
            "version": __version__,
            "environment": settings.environment,
        }
    )


async def livez(request: Request) -> Response:
    """Say that the process answers."""
    admit_anyone(request, "health")
    return json_response({"status": "ok"})


async def readyz(request: Request) -> Response:
    """Say whether the service takes work; 503 while it shuts down or cannot book."""
    admit_anyone(request, "health")
    drain: Drain = request.app.state.drain
    drain.check()
    accounts: Accounts | None = request.app.state.accounts
    if accounts is not None:
        accounts.check()
    return json_response({"status": "ready"})


async def models(request: Request) -> Response:
    """List the models that the caller may ask for."""
    caller = await admit(request, "api")
    catalog: Catalog = request.app.state.catalog
    entries = [
        {
            "id": f"{entry.provider}/{entry.model}",
            "provider": entry.provider,
            "model": entry.model,
            "default": entry.default,
        }
        for entry in catalog.entries()
        if any(map(caller.may_ask, entry.names))
    ]
    return json_response(
        {"data": entries, "meta": {"requestId": request.state.request_id}}
    )


async def metrics(request: Request) -> Response:
    """Report metrics in Prometheus' text format; needs a token outside development."""
    settings: Settings = request.app.state.settings
    if settings.environment in HOSTED:
        caller = await admit(request, "api")
        if caller.organisation:
            # They are those of all organisations.
            raise ForbiddenError(details={"reason": "organisation"})
    else:
        admit_anyone(request, "api")
    measured: Metrics = request.app.state.metrics
    return Response(measured.render(), media_type=CONTENT_TYPE)
