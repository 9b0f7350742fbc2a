"""Which address of an SDK's API leads to which function."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from fastapi import Request, Response

from llm_proxy.api.v1.conversation import chat_completions, completions, messages
from llm_proxy.api.v1.count_tokens import count_message_tokens, count_response_tokens
from llm_proxy.api.v1.embeddings import embeddings
from llm_proxy.api.v1.media import (
    image_edits,
    image_generations,
    image_variations,
    speech,
    transcriptions,
    translations,
)
from llm_proxy.api.v1.models import list_models, retrieve_model
from llm_proxy.api.v1.moderations import moderations
from llm_proxy.api.v1.responses import create_response
from llm_proxy.api.v1.stored import (
    cancel_response,
    delete_response,
    list_input_items,
    retrieve_response,
)
from llm_proxy.api.v1.surfaces import addresses

Endpoint = Callable[[Request], Awaitable[Response]]


class V1Route(NamedTuple):
    """One function at one address."""

    path: str
    method: str
    endpoint: Endpoint


_PLACES: tuple[tuple[str, str, Endpoint], ...] = (
    ("chat/completions", "POST", chat_completions),
    ("messages", "POST", messages),
    ("messages/count_tokens", "POST", count_message_tokens),
    ("responses", "POST", create_response),
    ("responses/input_tokens", "POST", count_response_tokens),
    ("responses/{response_id}", "GET", retrieve_response),
    ("responses/{response_id}", "DELETE", delete_response),
    ("responses/{response_id}/cancel", "POST", cancel_response),
    ("responses/{response_id}/input_items", "GET", list_input_items),
    ("completions", "POST", completions),
    ("embeddings", "POST", embeddings),
    ("models", "GET", list_models),
    ("models/{model_id:path}", "GET", retrieve_model),
    ("moderations", "POST", moderations),
    ("images/generations", "POST", image_generations),
    ("images/edits", "POST", image_edits),
    ("images/variations", "POST", image_variations),
    ("audio/speech", "POST", speech),
    ("audio/transcriptions", "POST", transcriptions),
    ("audio/translations", "POST", translations),
)


def v1_routes() -> list[V1Route]:
    """List the routes, each under all its addresses.

    Returns:
        The routes; paths are Starlette's templates.
    """
    return [
        V1Route(path, method, endpoint)
        for place, method, endpoint in _PLACES
        for path in addresses(place)
    ]
