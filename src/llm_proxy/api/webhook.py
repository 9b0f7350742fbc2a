"""`/webhook`: a text and what to do with it."""

from fastapi import Request, Response

from llm_proxy.api.admission import admit
from llm_proxy.api.body import read_model
from llm_proxy.api.calls import new_call
from llm_proxy.api.connection import Connected
from llm_proxy.api.meta import answer_meta, processing_time
from llm_proxy.api.response import json_response
from llm_proxy.api.schemas import WebhookBody
from llm_proxy.gateway import Gateway
from llm_proxy.routing import Catalog
from llm_proxy.tasks import Task


async def webhook(request: Request) -> Response:
    """Summarize or translate a text, or find out what is in it."""
    caller = await admit(request, "api", "webhook")
    body = await read_model(request, WebhookBody)
    gateway: Gateway = request.app.state.gateway
    task = Task(
        prompt=body.prompt,
        type=body.type or "custom",
        source=body.source,
        language=body.language,
    )
    catalog: Catalog = request.app.state.catalog
    route = catalog.default_route(lambda: body.prompt)
    call = new_call(
        request, caller, f"webhook.{task.type}", route, {"prompt": body.prompt}
    )
    async with Connected(request.receive, request.app.state.drain):
        done = await gateway.process(task, call)
    exchange = done.answer.exchange
    meta = answer_meta(request, exchange, done.answer.verdict)
    content = {
        "summary": done.result.summary,
        "processing_time": processing_time(request),
        "data": done.result.data,
        "meta": meta
        | {
            "provider": exchange.target.provider,
            "type": task.type,
            "template_version": done.template_version,
        },
    }
    return json_response(content)
