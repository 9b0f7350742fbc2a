"""The audit log over HTTP, and what the management routes leave in it."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel, Field

from llm_proxy.api.admission import admit
from llm_proxy.api.management import (
    PAGE_LENGTH,
    PageLimit,
    PageMeta,
    Query,
    ShortText,
    read_query,
)
from llm_proxy.api.response import json_response
from llm_proxy.books import Books
from llm_proxy.errors import ForbiddenError, NotFoundError, StorageUnavailableError
from llm_proxy.security.audit import Actor, AuditEntry, AuditQuery, read, record
from llm_proxy.security.granting import may_see, seen_by
from llm_proxy.security.key_store import KeyStore
from llm_proxy.telemetry import get_logger
from llm_proxy.types import Principal

_log = get_logger(__name__)


class AuditParameters(Query):
    """Which entries of the audit log to list."""

    actor: ShortText | None = Field(None, description="Only what this caller has done.")
    action: ShortText | None = Field(None, description="Only these actions.")
    subject: ShortText | None = Field(None, description="Only what was done to it.")
    before: ShortText | None = Field(
        None, description="`meta.next` of the page before."
    )
    limit: PageLimit = Field(PAGE_LENGTH, description="The most entries of a page.")


class AuditData(BaseModel):
    """Something that was done, or refused."""

    id: str
    at: datetime
    actor: str
    action: str
    subject: str
    details: dict[str, Any]
    client_ip: str
    request_id: str


class AuditAnswer(BaseModel):
    """A page of the audit log, the newest entry first."""

    data: list[AuditData]
    meta: PageMeta


def actor_of(request: Request) -> Actor:
    """Say for the audit log who makes a request.

    Args:
        request: From a caller who is known.

    Returns:
        The caller, the client's address and the request's id.
    """
    state = request.scope["state"]
    return Actor(state["principal"], state["client_ip"], state["request_id"])


async def record_action(
    request: Request,
    action: str,
    subject: str = "",
    details: Mapping[str, object] | None = None,
) -> None:
    """Write in the audit log what a request does; without a database, in the log.

    Args:
        request: From a caller who is known.
        action: What it does.
        subject: To what.
        details: More of it.

    Raises:
        StorageUnavailableError: The database does not take it.
    """
    books: Books | None = request.app.state.books
    if books is None:
        _log.warning("not_audited", action=action, subject=subject)
        return
    entry = AuditEntry(actor_of(request), action, subject, details or {})
    await record(books.database, entry)


@asynccontextmanager
async def recorded_refusals(
    request: Request, action: str, subject: str = ""
) -> AsyncGenerator[None]:
    """Leave an entry in the audit log if the caller is refused.

    Args:
        request: What the caller asks for.
        action: What that would be.
        subject: What it would be done to.

    Yields:
        While the caller may be refused.

    Raises:
        ForbiddenError: The refusal itself, also if it cannot be written down.
    """
    try:
        yield
    except ForbiddenError as refusal:
        details = {"message": refusal.message, "details": refusal.details}
        try:
            await record_action(request, f"{action}.refused", subject, details)
        except StorageUnavailableError:
            _log.warning("not_audited", action=f"{action}.refused", subject=subject)
        raise


async def show_audit(request: Request) -> Response:
    """List who has done what to keys and to the cache, the newest first."""
    async with recorded_refusals(request, "audit.read"):
        caller = await admit(request, "api")
        books: Books | None = request.app.state.books
        if books is None:
            raise NotFoundError("There is no audit log: DATABASE_URL is off")
        parameters = read_query(request, AuditParameters)
        await check_subject(request, caller, parameters.subject)
    query = AuditQuery(
        parameters.actor,
        parameters.action,
        parameters.subject,
        parameters.before,
        parameters.limit + 1,
    )
    found = await read(books.database, query)
    page = found[: parameters.limit]
    answer = AuditAnswer(
        data=[_describe(entry) for entry in page],
        meta=PageMeta(
            requestId=request.state.request_id,
            next=page[-1].id if len(found) > len(page) else None,
        ),
    )
    return json_response(answer.model_dump(mode="json"))


async def check_subject(
    request: Request, caller: Principal, name: str | None, parameter: str = "subject"
) -> None:
    """Keep callers who do not see all keys to what one of theirs has to do with.

    Args:
        request: From the caller.
        caller: Who may do it; one who sees all keys may do it for everybody.
        name: The key, as the query has it; None for everybody.
        parameter: How the query calls it.

    Raises:
        ForbiddenError: It is not a key that they see.
    """
    if not seen_by(caller) or name == caller.name:
        return
    store: KeyStore | None = request.app.state.keys
    key = None if store is None else await store.get(name or "")
    if key is None or not may_see(caller, key):
        raise ForbiddenError(
            f"You may do this for single keys of your own: ?{parameter}=key_…",
            details={"reason": parameter},
        )


def _describe(entry: AuditEntry) -> AuditData:
    return AuditData(
        id=entry.id,
        at=datetime.fromtimestamp(entry.at_ms / 1000, UTC),
        actor=entry.actor.name,
        action=entry.action,
        subject=entry.subject,
        details=dict(entry.details),
        client_ip=entry.actor.client_ip,
        request_id=entry.actor.request_id,
    )
