"""Embeddings: texts go in, vectors come out."""

from dataclasses import replace
from functools import partial

from fastapi import Request, Response

from llm_proxy.api.admission import admit
from llm_proxy.api.calls import new_call
from llm_proxy.api.v1.forwarding import run_errand
from llm_proxy.api.v1.payload import read_json_payload
from llm_proxy.demand import demand_of_fields
from llm_proxy.providers import Errand
from llm_proxy.routing import Catalog
from llm_proxy.wire.openai_embeddings import check_input, observe_embeddings


async def embeddings(request: Request) -> Response:
    """Turn texts into vectors, as OpenAI's embeddings do."""
    caller = await admit(request, "api", "chat")
    payload = await read_json_payload(request)
    check_input(payload.fields)
    as_base64 = payload.fields.get("encoding_format") == "base64"
    catalog: Catalog = request.app.state.catalog
    route = catalog.resolve(payload.model)
    call = new_call(request, caller, "v1.embeddings", route, payload.fields)
    errand = Errand(
        path="/embeddings",
        body_for=payload.with_model,
        observe=partial(observe_embeddings, as_base64=as_base64),
    )
    demand = replace(demand_of_fields(payload.fields), output_tokens=0)
    return await run_errand(request, call, errand, demand)
