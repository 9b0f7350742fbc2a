"""The virtual keys of the database: made, changed, rotated, revoked, found again."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from llm_proxy.errors import InvalidInputError
from llm_proxy.security.audit import Actor, AuditEntry, write
from llm_proxy.security.key_rows import describe, read_key, to_seconds, write_key
from llm_proxy.security.key_rules import check_key, invalid
from llm_proxy.security.key_statements import (
    add_secret,
    change_row,
    end_secrets,
    existing_key,
    find_key,
    now_ms,
)
from llm_proxy.security.key_text import new_secret
from llm_proxy.security.virtual_key import VirtualKey

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

    from llm_proxy.security.pepper import Pepper
    from llm_proxy.storage.database import Database

MAX_OVERLAP_SECONDS = 30 * 86_400
# Any number will do, as long as all processes have the same.
_LOCK = 0x6C6C6D6B


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """Which keys to list; all conditions hold at once, and None is no condition.

    Attributes:
        organisation: To which they belong.
        team: The team.
        owner: The person.
        project: What their calls are for.
    """

    organisation: str | None = None
    team: str | None = None
    owner: str | None = None
    project: str | None = None


class KeyStore:
    """All keys, whichever process has made them.

    Every change is in the audit log, written in the same transaction. Who may make a
    change is for the caller to check: see `may_grant`.

    Args:
        database: Where they are.
        pepper: Turns secrets into what is stored of them.

    Attributes:
        database: The same.
    """

    def __init__(self, database: Database, pepper: Pepper) -> None:
        self.database = database
        self._pepper = pepper
        self._listeners: list[Callable[[str], None]] = []

    def subscribe(self, listener: Callable[[str], None]) -> None:
        """Tell somebody of every change that is made here, once it is durable.

        Args:
            listener: Is called with the id of the key.
        """
        self._listeners.append(listener)

    def digest(self, secret: str) -> str:
        """Compute what is stored of a secret; see `Pepper.digest`."""
        return self._pepper.digest(secret)

    async def create(self, key: VirtualKey, actor: Actor) -> str:
        """Store a key.

        Args:
            key: A new one, with the actor's name in `created_by`.
            actor: Who makes it.

        Returns:
            The secret, which nobody can find out again.

        Raises:
            InvalidInputError: The key is not one that can be stored.
            ConfigurationError: There is no pepper.
            StorageUnavailableError: The database does not take it.
        """
        from llm_proxy.storage.tables import virtual_keys

        check_key(key)
        secret = new_secret()
        digest = self.digest(secret)
        async with self._changing(key.id) as (connection, change):
            row = {**write_key(key), "changed_ms": change}
            await connection.execute(virtual_keys.insert(), [row])
            await add_secret(connection, key.id, digest)
            entry = AuditEntry(actor, "key.create", key.id, describe(key))
            await write(connection, entry)
        return secret

    async def rotate(self, key_id: str, overlap_seconds: float, actor: Actor) -> str:
        """Give a key another secret.

        Args:
            key_id: The key.
            overlap_seconds: How long the secrets before it stay valid; at most 30 days.
            actor: Who does so.

        Returns:
            The secret, which nobody can find out again.

        Raises:
            NotFoundError: There is no such key.
            InvalidInputError: It is revoked or has expired, or the overlap is too long.
            ConfigurationError: There is no pepper.
            StorageUnavailableError: The database does not take it.
        """
        if not 0 <= overlap_seconds <= MAX_OVERLAP_SECONDS:
            wanted = f"must be from 0 to {MAX_OVERLAP_SECONDS} seconds"
            raise invalid(("overlap_seconds", wanted))
        secret = new_secret()
        digest = self.digest(secret)
        async with self._changing(key_id) as (connection, change):
            key = await existing_key(connection, key_id)
            _check_usable(key)
            await end_secrets(connection, key_id, overlap_seconds)
            await add_secret(connection, key_id, digest)
            await change_row(connection, key_id, changed_ms=change)
            details = {"overlap_seconds": overlap_seconds}
            await write(connection, AuditEntry(actor, "key.rotate", key_id, details))
        return secret

    async def update(
        self, key_id: str, change: Callable[[VirtualKey], VirtualKey], actor: Actor
    ) -> VirtualKey:
        """Change what a key says, unless it has ended; to change nothing is no change.

        Args:
            key_id: The key.
            change: Says what becomes of it as it is; its id and its past stay.
            actor: Who does so.

        Returns:
            The key, as it is then.

        Raises:
            NotFoundError: There is no such key.
            InvalidInputError: It is revoked or has expired, or would be, or would not
                be one that can be stored.
            StorageUnavailableError: The database does not take it.
        """
        async with self._changing(key_id) as (connection, number):
            key = await existing_key(connection, key_id)
            _check_usable(key)
            changed = change(key)
            check_key(changed)
            if not changed.is_usable(time.time()):
                raise invalid(("expires_at", "must be in the future"))
            details = {
                name: value
                for name, value in describe(changed).items()
                if getattr(changed, name) != getattr(key, name)
            }
            if details:
                row = {**write_key(changed), "changed_ms": number}
                await change_row(connection, key_id, **row)
                entry = AuditEntry(actor, "key.update", key_id, details)
                await write(connection, entry)
        return changed

    async def revoke(self, key_id: str, actor: Actor) -> VirtualKey:
        """End a key for good; one that is revoked already stays as it is.

        Args:
            key_id: The key.
            actor: Who does so.

        Returns:
            The key, as it is then.

        Raises:
            NotFoundError: There is no such key.
            StorageUnavailableError: The database does not take it.
        """
        ended_ms = now_ms()
        async with self._changing(key_id) as (connection, change):
            key = await existing_key(connection, key_id)
            if key.revoked_at is not None:
                return key
            await change_row(connection, key_id, changed_ms=change, revoked_ms=ended_ms)
            await write(connection, AuditEntry(actor, "key.revoke", key_id))
        return replace(key, revoked_at=to_seconds(ended_ms))

    async def get(self, key_id: str) -> VirtualKey | None:
        """Look a key up, also one that is revoked or has expired.

        Args:
            key_id: Any text.

        Returns:
            The key, or None if there is none.

        Raises:
            StorageUnavailableError: The database does not answer.
        """
        async with self.database.read() as connection:
            return await find_key(connection, key_id)

    async def list_keys(
        self, wanted: KeyFilter, after: str = "", limit: int = 100
    ) -> list[VirtualKey]:
        """Read a page of keys, in the order of their ids.

        Args:
            wanted: Which keys.
            after: The id of the last one of the page before.
            limit: How many at most.

        Returns:
            The keys, also those that are revoked or have expired.

        Raises:
            StorageUnavailableError: The database does not answer.
        """
        import sqlalchemy as sa

        from llm_proxy.storage.tables import virtual_keys

        conditions = {
            name: value for name, value in asdict(wanted).items() if value is not None
        }
        # No key has such values, and Postgres refuses some of them.
        if not all(value.isprintable() for value in (*conditions.values(), after)):
            return []
        statement = (
            sa.select(virtual_keys)
            .where(virtual_keys.c.id > after)
            .filter_by(**conditions)
            .order_by(virtual_keys.c.id)
            .limit(limit)
        )
        async with self.database.read() as connection:
            return [read_key(row) for row in await connection.execute(statement)]

    @asynccontextmanager
    async def _changing(
        self, key_id: str
    ) -> AsyncGenerator[tuple[AsyncConnection, int]]:
        """Begin a transaction that changes a key, and no two of which overlap.

        Therefore changes have rising numbers in the order in which others see them,
        whatever the clocks of their processes say, and nobody who asks for those after
        the latest one that he knows misses any.
        """
        import sqlalchemy as sa

        from llm_proxy.storage.tables import virtual_keys

        async with self.database.begin() as connection:
            if not self.database.is_sqlite:
                await connection.execute(
                    sa.select(sa.func.pg_advisory_xact_lock(_LOCK))
                )
            newest = sa.select(sa.func.max(virtual_keys.c.changed_ms))
            latest: int = await connection.scalar(newest) or 0
            yield connection, max(now_ms(), latest + 1)
        for listener in self._listeners:
            listener(key_id)


def _check_usable(key: VirtualKey) -> None:
    if not key.is_usable(time.time()):
        raise InvalidInputError(
            "The key is revoked or has expired",
            details=[{"field": "id", "problem": "must be of a key that has not ended"}],
        )
