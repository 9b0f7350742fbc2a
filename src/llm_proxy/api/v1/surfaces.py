"""Which dialect a caller speaks, and what all answers in it have in common."""

from starlette.types import Scope

from llm_proxy.wire import (
    AnthropicSurface,
    OpenAIChatSurface,
    OpenAICompletionsSurface,
    OpenAIResponsesSurface,
    Surface,
)

OPENAI = OpenAIChatSurface()
COMPLETIONS = OpenAICompletionsSurface()
RESPONSES = OpenAIResponsesSurface()
ANTHROPIC = AnthropicSurface()

_PLACES = (
    "chat/completions",
    "completions",
    "responses",
    "embeddings",
    "models",
    "moderations",
    "images",
    "audio",
)


def addresses(place: str) -> tuple[str, ...]:
    """List the addresses of a resource of an SDK's API.

    Programs are given our address with and without ``/v1``; the SDKs of OpenAI expect
    it there, those of Anthropic add it.

    Args:
        place: Like ``chat/completions``.

    Returns:
        Paths, the canonical one first.
    """
    return f"/v1/{place}", f"/{place}", f"/v1/v1/{place}"


def surface_of(scope: Scope) -> Surface | None:
    """Say in which dialect a request has to be answered, whatever becomes of it.

    Args:
        scope: The ASGI scope of the request.

    Returns:
        The dialect; None on our own surface.
    """
    path: str = scope["path"]
    versioned = path.startswith("/v1/")
    place = path.removeprefix("/v1").removeprefix("/v1").removeprefix("/")
    if _is_at(place, "messages"):
        return ANTHROPIC
    if not versioned and not any(_is_at(place, known) for known in _PLACES):
        return None
    if speaks_anthropic(scope):
        return ANTHROPIC
    return OPENAI


def speaks_anthropic(scope: Scope) -> bool:
    """Tell Anthropic's SDKs from others where both use the same address.

    Args:
        scope: The ASGI scope of the request.

    Returns:
        Whether ``anthropic-version`` was sent.
    """
    return any(name == b"anthropic-version" for name, _ in scope["headers"])


def own_headers(surface: Surface, request_id: str) -> list[tuple[bytes, bytes]]:
    """Write the headers that a vendor's SDK looks for in every answer.

    Args:
        surface: The caller's dialect.
        request_id: Our id of the request.

    Returns:
        Raw headers. OpenAI's ``x-request-id`` is on every answer of the service.
    """
    if surface is ANTHROPIC:
        return [(b"request-id", request_id.encode("ascii"))]
    return []


def _is_at(place: str, known: str) -> bool:
    return place == known or place.startswith(known + "/")
