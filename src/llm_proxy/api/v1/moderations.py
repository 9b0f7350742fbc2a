"""Moderations: whether a text or an image is harmful."""

from fastapi import Request, Response

from llm_proxy.api.admission import admit
from llm_proxy.api.calls import new_call
from llm_proxy.api.v1.forwarding import run_errand
from llm_proxy.api.v1.payload import read_json_payload
from llm_proxy.providers import Errand
from llm_proxy.routing import Catalog
from llm_proxy.wire.openai_answer import observe_answer

# What OpenAI takes when nobody names a model.
_DEFAULT_MODEL = "omni-moderation-latest"


async def moderations(request: Request) -> Response:
    """Judge texts and images, as OpenAI's moderations do."""
    caller = await admit(request, "api", "chat")
    payload = await read_json_payload(request, _DEFAULT_MODEL)
    catalog: Catalog = request.app.state.catalog
    route = catalog.resolve(payload.model)
    call = new_call(request, caller, "v1.moderations", route, payload.fields)
    errand = Errand("/moderations", payload.with_model, observe=observe_answer)
    return await run_errand(request, call, errand)
