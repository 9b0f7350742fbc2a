"""Images and audio, which pass through in whatever form they have."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from fastapi import Request, Response

from llm_proxy.api.admission import admit
from llm_proxy.api.calls import new_call
from llm_proxy.api.v1.forwarding import run_errand
from llm_proxy.api.v1.payload import Payload, read_form_payload, read_json_payload
from llm_proxy.demand import demand_of_fields
from llm_proxy.providers import Errand
from llm_proxy.routing import Catalog
from llm_proxy.wire.openai_answer import observe_answer
from llm_proxy.wire.openai_events import MediaEvents

# OpenAI names no default and has shut down those of old (`dall-e-2`, `gpt-image-1`);
# this name stays and means the newest.
_IMAGE_MODEL = "chatgpt-image-latest"


async def image_generations(request: Request) -> Response:
    """Make images from a prompt, as OpenAI's images do."""
    return await _pass_on(request, "/images/generations", _read_image_request)


async def image_edits(request: Request) -> Response:
    """Edit images as a prompt says, as OpenAI's images do."""
    return await _pass_on(request, "/images/edits", _read_image_request)


async def image_variations(request: Request) -> Response:
    """Make variations of an image, as OpenAI's images did."""
    return await _pass_on(request, "/images/variations", read_form_payload)


async def speech(request: Request) -> Response:
    """Say a text, as OpenAI's audio does."""
    return await _pass_on(request, "/audio/speech", read_json_payload, raw=True)


async def transcriptions(request: Request) -> Response:
    """Write down what is said, as OpenAI's audio does."""
    return await _pass_on(request, "/audio/transcriptions", read_form_payload, raw=True)


async def translations(request: Request) -> Response:
    """Write down in English what is said, as OpenAI's audio does."""
    return await _pass_on(request, "/audio/translations", read_form_payload, raw=True)


async def _read_image_request(request: Request) -> Payload:
    content_type = request.headers.get("content-type", "")
    if content_type.lower().startswith("multipart/"):
        return await read_form_payload(request)
    return await read_json_payload(request, _IMAGE_MODEL)


async def _pass_on(
    request: Request,
    path: str,
    read: Callable[[Request], Awaitable[Payload]],
    *,
    raw: bool = False,
) -> Response:
    caller = await admit(request, "api", "chat")
    payload = await read(request)
    catalog: Catalog = request.app.state.catalog
    feature = "v1" + path.replace("/", ".")
    route = catalog.resolve(payload.model)
    call = new_call(request, caller, feature, route, payload.fields)
    errand = Errand(
        path,
        payload.with_model,
        payload.content_type,
        observe=observe_answer,
        reader=MediaEvents,
        raw=raw,
    )
    demand = replace(demand_of_fields(payload.fields), output_tokens=0)
    return await run_errand(request, call, errand, demand)
