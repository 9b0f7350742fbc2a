"""Short-lived tokens over HTTP, in exchange for a key."""

from typing import Annotated, Literal

from fastapi import Request, Response
from pydantic import BaseModel, Field

from llm_proxy.api.admission import admit
from llm_proxy.api.audit import recorded_refusals
from llm_proxy.api.management import StrictBody, read_optional_model
from llm_proxy.api.response import json_response
from llm_proxy.errors import NotFoundError
from llm_proxy.security.access_tokens import AccessTokens
from llm_proxy.types import Scope


class TokenBody(StrictBody):
    """What a token should be good for."""

    expires_in_seconds: int | None = Field(
        None, ge=1, description="At most, and by default, `JWT_SECONDS`."
    )
    scopes: Annotated[list[Scope], Field(min_length=1)] | None = Field(
        None, description="Default: all that the caller may do."
    )


class TokenAnswer(BaseModel):
    """A token, as OAuth 2.0 writes it (RFC 6749, section 5.1)."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int = Field(description="Seconds.")
    scope: str = Field(description="What it may do, separated by spaces.")


async def issue_token(request: Request) -> Response:
    """Exchange a key for a token that may do no more and lives no longer."""
    async with recorded_refusals(request, "token.issue"):
        caller = await admit(request, "api")
        tokens: AccessTokens | None = request.app.state.access_tokens
        if tokens is None:
            raise NotFoundError("There are no such tokens: JWT_SECRET_KEY is not set")
        body = await read_optional_model(request, TokenBody)
        scopes = caller.scopes if body.scopes is None else frozenset(body.scopes)
        token, seconds = tokens.issue(caller, body.expires_in_seconds, scopes)
    answer = TokenAnswer(
        access_token=token,
        token_type="Bearer",  # noqa: S106 - the name of a scheme
        expires_in=seconds,
        scope=" ".join(sorted(scopes)),
    )
    return json_response(answer.model_dump())
