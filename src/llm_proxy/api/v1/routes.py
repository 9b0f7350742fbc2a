"""Which address of an SDK's API leads to which function."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from fastapi import Request, Response

from llm_proxy.api.admission import Access
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
    """One function at one of its addresses; its name is the canonical one."""

    path: str
    method: str
    endpoint: Endpoint
    access: Access
    name: str


_OPENAI = Access("models:call", "openai")
_ANTHROPIC = Access("models:call", "anthropic")
_READING = Access("models:read")

_PLACES: tuple[tuple[str, str, Endpoint, Access], ...] = (
    ("chat/completions", "POST", chat_completions, _OPENAI),
    ("messages", "POST", messages, _ANTHROPIC),
    ("messages/count_tokens", "POST", count_message_tokens, _ANTHROPIC),
    ("responses", "POST", create_response, _OPENAI),
    ("responses/input_tokens", "POST", count_response_tokens, _OPENAI),
    ("responses/{response_id}", "GET", retrieve_response, _OPENAI),
    ("responses/{response_id}", "DELETE", delete_response, _OPENAI),
    ("responses/{response_id}/cancel", "POST", cancel_response, _OPENAI),
    ("responses/{response_id}/input_items", "GET", list_input_items, _OPENAI),
    ("completions", "POST", completions, _OPENAI),
    ("embeddings", "POST", embeddings, _OPENAI),
    ("models", "GET", list_models, _READING),
    ("models/{model_id:path}", "GET", retrieve_model, _READING),
    ("moderations", "POST", moderations, _OPENAI),
    ("images/generations", "POST", image_generations, _OPENAI),
    ("images/edits", "POST", image_edits, _OPENAI),
    ("images/variations", "POST", image_variations, _OPENAI),
    ("audio/speech", "POST", speech, _OPENAI),
    ("audio/transcriptions", "POST", transcriptions, _OPENAI),
    ("audio/translations", "POST", translations, _OPENAI),
)


def v1_routes() -> list[V1Route]:
    """List the routes, each under all its addresses.

    Returns:
        The routes; paths are Starlette's templates.
    """
    return [
        V1Route(path, method, endpoint, access, addresses(place)[0])
        for place, method, endpoint, access in _PLACES
        for path in addresses(place)
    ]
