"""Responses that were kept: read, stopped and deleted by those whose they are."""

from dataclasses import replace
from urllib.parse import quote, urlencode

from fastapi import Request, Response

from llm_proxy.api.admission import admit
from llm_proxy.api.calls import new_call
from llm_proxy.api.response import json_response
from llm_proxy.api.v1.background import Background
from llm_proxy.api.v1.forwarding import run_errand
from llm_proxy.api.v1.paging import read_limit
from llm_proxy.api.v1.surfaces import RESPONSES
from llm_proxy.errors import InvalidInputError, UnsupportedFeatureError
from llm_proxy.providers import Errand
from llm_proxy.responses import ResponseStore, StoredResponse
from llm_proxy.routing import Catalog
from llm_proxy.types import Principal

_FEATURE = "v1.stored_responses"
# What callers may say in a query that goes to an upstream.
_QUERY = ("after", "include", "include[]", "limit", "order", "starting_after", "stream")
_LONGEST_PAGE = 100


async def retrieve_response(request: Request) -> Response:
    """Read a response that was kept."""
    caller, stored = await _find(request)
    if stored.provider:
        return await _ask(request, caller, stored, "GET")
    if request.query_params.get("stream") == "true":
        raise UnsupportedFeatureError("Responses kept here cannot be streamed again")
    return json_response(stored.response)


async def delete_response(request: Request) -> Response:
    """Forget a response that was kept."""
    caller, stored = await _find(request)
    answer = json_response({"id": stored.id, "object": "response", "deleted": True})
    if stored.provider:
        answer = await _ask(request, caller, stored, "DELETE")
    background: Background = request.app.state.background
    # It would be kept again when it is done.
    await background.cancel(caller.name, stored.id)
    store: ResponseStore = request.app.state.responses
    store.delete(caller.name, stored.id)
    return answer


async def cancel_response(request: Request) -> Response:
    """Stop a response that is made in the background."""
    caller, stored = await _find(request)
    if stored.provider:
        return await _ask(request, caller, stored, "POST", "/cancel")
    background: Background = request.app.state.background
    cancelled = await background.cancel(caller.name, stored.id)
    if not cancelled and stored.response.get("background") is not True:
        raise InvalidInputError("Only background responses can be cancelled")
    store: ResponseStore = request.app.state.responses
    return json_response(store.get(caller.name, stored.id).response)


async def list_input_items(request: Request) -> Response:
    """List what was said to the model before a response that was kept."""
    caller, stored = await _find(request)
    if stored.provider:
        return await _ask(request, caller, stored, "GET", "/input_items")
    items = list(stored.input)
    query = request.query_params
    if query.get("order", "desc") == "desc":
        items.reverse()
    limit = read_limit(request, _LONGEST_PAGE)
    ids = [item.get("id") for item in items]
    start = ids.index(query["after"]) + 1 if query.get("after") in ids else 0
    page = items[start : start + limit]
    return json_response(
        {
            "object": "list",
            "data": page,
            "first_id": page[0].get("id") if page else None,
            "last_id": page[-1].get("id") if page else None,
            "has_more": start + len(page) < len(items),
        }
    )


async def _find(request: Request) -> tuple[Principal, StoredResponse]:
    caller = await admit(request, "api")
    store: ResponseStore = request.app.state.responses
    return caller, store.get(caller.name, request.path_params["response_id"])


async def _ask(
    request: Request,
    caller: Principal,
    stored: StoredResponse,
    method: str,
    place: str = "",
) -> Response:
    """Ask the provider that keeps the response."""
    catalog: Catalog = request.app.state.catalog
    query = [item for item in request.query_params.multi_items() if item[0] in _QUERY]
    path = f"/responses/{quote(stored.id, safe='')}{place}"
    errand = Errand(
        path=f"{path}?{urlencode(query)}" if query else path,
        body_for=lambda _: b"",
        method=method,
        dialect=RESPONSES.name,
        raw=("stream", "true") in query,
    )
    route = catalog.resolve(f"{stored.provider}/{stored.model}")
    # Whose response it is may read it, by whatever name the model was asked for.
    owner = replace(caller, models=None)
    call = new_call(request, owner, _FEATURE, route, {"model": stored.model})
    return await run_errand(request, call, errand)
