"""One key and its secrets in the database, within a transaction of whoever asks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from llm_proxy.errors import NotFoundError
from llm_proxy.security.key_rows import read_key
from llm_proxy.security.virtual_key import VirtualKey, is_key_id

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

# For so long the log can say of which key a secret was.
_KEPT_MS = 30 * 86_400_000


async def find_key(connection: AsyncConnection, key_id: str) -> VirtualKey | None:
    """Look a key up.

    Args:
        connection: Within a transaction.
        key_id: Any text.

    Returns:
        The key, also one that has ended; None if there is none.
    """
    import sqlalchemy as sa

    from llm_proxy.storage.tables import virtual_keys

    if not is_key_id(key_id):
        return None
    statement = sa.select(virtual_keys).where(virtual_keys.c.id == key_id)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else read_key(row)


async def existing_key(connection: AsyncConnection, key_id: str) -> VirtualKey:
    """Look up a key that there should be.

    Args:
        connection: Within a transaction.
        key_id: Any text.

    Returns:
        The key, also one that has ended.

    Raises:
        NotFoundError: There is no such key.
    """
    key = await find_key(connection, key_id)
    if key is None:
        raise NotFoundError("There is no such key")
    return key


async def change_row(
    connection: AsyncConnection, key_id: str, **values: object
) -> None:
    """Change the row of a key.

    Args:
        connection: Within a transaction that changes keys.
        key_id: The key.
        **values: By column, of which ``changed_ms`` has to be one.
    """
    from llm_proxy.storage.tables import virtual_keys

    statement = virtual_keys.update().where(virtual_keys.c.id == key_id)
    await connection.execute(statement.values(**values))


async def add_secret(connection: AsyncConnection, key_id: str, digest: str) -> None:
    """Give a key one more secret, which does not end by itself.

    Args:
        connection: Within a transaction that changes keys.
        key_id: The key.
        digest: What is stored of the secret.
    """
    from llm_proxy.storage.tables import key_secrets

    row = {"digest": digest, "key_id": key_id, "created_ms": now_ms()}
    await connection.execute(key_secrets.insert(), [row])


async def end_secrets(
    connection: AsyncConnection, key_id: str, overlap_seconds: float
) -> None:
    """Let the secrets of a key end, and drop those that ended a month ago.

    Args:
        connection: Within a transaction that changes keys.
        key_id: The key.
        overlap_seconds: How long they stay valid, unless they end sooner.
    """
    import sqlalchemy as sa

    from llm_proxy.storage.tables import key_secrets

    expires_ms, now = key_secrets.c.expires_ms, now_ms()
    end_ms = now + round(overlap_seconds * 1000)
    of_key = key_secrets.c.key_id == key_id
    ends_later = sa.or_(expires_ms.is_(None), expires_ms > end_ms)
    await connection.execute(
        key_secrets.update().where(of_key, ends_later).values(expires_ms=end_ms)
    )
    is_old = expires_ms <= now - _KEPT_MS
    await connection.execute(key_secrets.delete().where(of_key, is_old))


def now_ms() -> int:
    """Tell the time as the rows of keys have it.

    Returns:
        Milliseconds since 1970.
    """
    return round(time.time() * 1000)
