"""The models that a program can choose from."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import Request, Response

from llm_proxy.api.admission import admit
from llm_proxy.api.response import json_response
from llm_proxy.api.v1.paging import read_limit, wrong_query
from llm_proxy.api.v1.surfaces import ANTHROPIC, own_headers, speaks_anthropic
from llm_proxy.errors import UnknownModelError
from llm_proxy.routing import Catalog, ListedModel
from llm_proxy.types import Principal

_LONGEST_PAGE = 1000


async def list_models(request: Request) -> Response:
    """List the models; in Anthropic's form if ``anthropic-version`` was sent."""
    caller = await admit(request, "api")
    catalog: Catalog = request.app.state.catalog
    # The first call reads the price catalogue, for which the loop cannot wait.
    listed = await asyncio.to_thread(catalog.listed)
    models = [model for model in listed if _may_ask(caller, model)]
    if speaks_anthropic(request.scope):
        return _anthropic(request, _page(models, request))
    data = [_openai_model(model) for model in models]
    return json_response({"object": "list", "data": data})


async def retrieve_model(request: Request) -> Response:
    """Describe one model; in Anthropic's form if ``anthropic-version`` was sent."""
    caller = await admit(request, "api")
    catalog: Catalog = request.app.state.catalog
    model = await asyncio.to_thread(
        catalog.listed_model, request.path_params["model_id"]
    )
    if not _may_ask(caller, model):
        raise UnknownModelError
    if speaks_anthropic(request.scope):
        return _anthropic(request, _anthropic_model(model))
    return json_response(_openai_model(model))


def _may_ask(caller: Principal, model: ListedModel) -> bool:
    full_name = f"{model.owned_by}/{model.id}"
    return caller.may_ask(model.id) or caller.may_ask(full_name)


def _openai_model(model: ListedModel) -> dict[str, Any]:
    described = {
        "id": model.id,
        "object": "model",
        "created": model.created,
        "owned_by": model.owned_by,
    }
    if model.context_window is not None:
        # Not in OpenAI's API; programs of OpenRouter and vLLM read it.
        described["context_length"] = model.context_window
    return described


def _anthropic_model(model: ListedModel) -> dict[str, Any]:
    created = datetime.fromtimestamp(model.created, UTC)
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.display_name,
        "created_at": created.isoformat().replace("+00:00", "Z"),
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
        "capabilities": None,
        "max_input_tokens": model.context_window,
        "max_tokens": None,
    }


def _page(models: Sequence[ListedModel], request: Request) -> dict[str, Any]:
    """Cut a page as Anthropic's API does; see its reference, "List models"."""
    query = request.query_params
    limit = read_limit(request, _LONGEST_PAGE)
    ids = [model.id for model in models]
    start, end = 0, len(models)
    if (after := query.get("after_id")) is not None:
        start = _position(ids, after, "after_id") + 1
        end = min(end, start + limit)
    elif (before := query.get("before_id")) is not None:
        end = _position(ids, before, "before_id")
        start = max(0, end - limit)
    else:
        end = min(end, limit)
    page = [_anthropic_model(model) for model in models[start:end]]
    backwards = "before_id" in query and "after_id" not in query
    return {
        "data": page,
        "has_more": start > 0 if backwards else end < len(models),
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


def _position(ids: list[str], wanted: str, field: str) -> int:
    try:
        return ids.index(wanted)
    except ValueError:
        raise wrong_query(field, "no such model") from None


def _anthropic(request: Request, content: dict[str, Any]) -> Response:
    headers = own_headers(ANTHROPIC, request.state.request_id)
    return json_response(content, headers)
