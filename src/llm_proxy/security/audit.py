"""Who has done what to keys and other things of the operator's: rows that stay."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from llm_proxy.types.stored_text import storable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

    from llm_proxy.storage.database import Database

_TIME_DIGITS = 12


def _new_id() -> str:
    now_ms = int(time.time() * 1000)
    return f"{now_ms:0{_TIME_DIGITS}x}{secrets.token_hex(10)}"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and by which request.

    Attributes:
        name: Of the principal; ``cli`` for the command line.
        client_ip: The address of the client.
        request_id: Under which the log knows the request.
    """

    name: str
    client_ip: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One action, or one that was refused.

    Attributes:
        actor: Who.
        action: What, such as ``key.create`` or ``key.create.refused``.
        subject: To what, such as the id of a key.
        details: More of it, of what JSON knows; never a secret.
        id: Begins with the time; later entries have greater ones.
    """

    actor: Actor
    action: str
    subject: str
    details: Mapping[str, object] = field(default_factory=dict)
    id: str = field(default_factory=_new_id)

    @property
    def at_ms(self) -> int:
        """When, in milliseconds since 1970."""
        return int(self.id[:_TIME_DIGITS], 16)


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which entries to read; all conditions hold at once.

    Attributes:
        actor: The name of who has acted.
        action: What was done.
        subject: To what.
        before: Only entries before the one with this id: the last of the page before.
        limit: How many at most.
    """

    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    before: str | None = None
    limit: int = 100


async def write(connection: AsyncConnection, entry: AuditEntry) -> None:
    """Add an entry to a transaction, so that it stays if and only if the action does.

    Args:
        connection: In the transaction of the action.
        entry: The action.
    """
    from llm_proxy.storage.tables import audit

    texts = {
        "id": entry.id,
        "actor": entry.actor.name,
        "action": entry.action,
        "subject": entry.subject,
        "details": orjson.dumps(entry.details).decode(),
        "client_ip": entry.actor.client_ip,
        "request_id": entry.actor.request_id,
    }
    row: dict[str, str | int] = {"at_ms": entry.at_ms}
    for name, text in texts.items():
        length: int | None = getattr(audit.c[name].type, "length", None)
        row[name] = storable(text, length)
    await connection.execute(audit.insert(), [row])


async def record(database: Database, entry: AuditEntry) -> None:
    """Write an entry that belongs to no other transaction, such as a refused action.

    Args:
        database: Where the audit log is.
        entry: The action.

    Raises:
        StorageUnavailableError: The database does not take it.
    """
    async with database.begin() as connection:
        await write(connection, entry)


async def read(database: Database, query: AuditQuery) -> list[AuditEntry]:
    """Read a page of the audit log.

    Args:
        database: Where it is.
        query: Which entries.

    Returns:
        The newest first.

    Raises:
        StorageUnavailableError: The database does not answer.
    """
    import sqlalchemy as sa

    from llm_proxy.storage.tables import audit

    named = {
        audit.c.actor: query.actor,
        audit.c.action: query.action,
        audit.c.subject: query.subject,
    }
    conditions = [
        column == storable(value)
        for column, value in named.items()
        if value is not None
    ]
    if query.before is not None:
        conditions.append(audit.c.id < storable(query.before))
    statement = (
        sa.select(audit)
        .where(*conditions)
        .order_by(audit.c.id.desc())
        .limit(query.limit)
    )
    async with database.read() as connection:
        return [_entry(row) for row in await connection.execute(statement)]


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        actor=Actor(row.actor, row.client_ip, row.request_id),
        action=row.action,
        subject=row.subject,
        details=orjson.loads(row.details),
        id=row.id,
    )
