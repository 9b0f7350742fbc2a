"""Cached answers over HTTP: all that can be done with them is to forget them."""

from fastapi import Request, Response
from pydantic import BaseModel, Field

from llm_proxy.api.admission import admit
from llm_proxy.api.audit import check_subject, record_action, recorded_refusals
from llm_proxy.api.management import AnswerMeta, Query, ShortText, read_query
from llm_proxy.api.response import json_response
from llm_proxy.cache import Cache
from llm_proxy.errors import NotFoundError


class CacheParameters(Query):
    """Which answers to forget."""

    tenant: ShortText | None = Field(
        None, description="Only those of this caller. Default: all."
    )


class PurgeData(BaseModel):
    """What became of cached answers."""

    purged: int = Field(
        description="Answers that are forgotten; in Redis nobody counts them, and 1 "
        "stands for any number."
    )


class PurgeAnswer(BaseModel):
    """That cached answers are forgotten."""

    data: PurgeData
    meta: AnswerMeta


async def purge_cache(request: Request) -> Response:
    """Forget cached answers: those of one caller, or all."""
    async with recorded_refusals(request, "cache.purge"):
        caller = await admit(request, "api")
        cache: Cache | None = request.app.state.cache
        if cache is None:
            raise NotFoundError("There is no cache: CACHE_POLICY is off")
        tenant = read_query(request, CacheParameters).tenant
        await check_subject(request, caller, tenant, "tenant")
    # Nothing is done that could not be written down.
    await record_action(request, "cache.purge", tenant or "")
    answer = PurgeAnswer(
        data=PurgeData(purged=await cache.purge(tenant)),
        meta=AnswerMeta(requestId=request.state.request_id),
    )
    return json_response(answer.model_dump())
