"""What a process asks the database about keys that are used, many with one query."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llm_proxy.errors import InternalError
from llm_proxy.security.key_rows import read_key, to_seconds
from llm_proxy.security.virtual_key import EndedKey
from llm_proxy.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from llm_proxy.security.virtual_key import VirtualKey
    from llm_proxy.storage.database import Database
    from llm_proxy.types import Principal

_log = get_logger(__name__)

_MAX_LISTED_CHANGES = 1000


@dataclass(frozen=True, slots=True)
class Changes:
    """Which keys have changed.

    Attributes:
        ids: The keys; None if there are too many to list.
        latest: The number of the latest change, to ask from there the next time.
    """

    ids: frozenset[str] | None
    latest: int


async def find_digests(
    database: Database, digests: Collection[str]
) -> dict[str, Principal | EndedKey]:
    """Find who calls with some secrets.

    Args:
        database: Where the keys are.
        digests: Those of the secrets.

    Returns:
        The principals by digest, who end with their secret, if that is sooner than with
        their key; or why there is none any more.

    Raises:
        StorageUnavailableError: The database does not answer.
    """
    import sqlalchemy as sa

    from llm_proxy.storage.tables import key_secrets, virtual_keys

    statement = (
        sa.select(
            key_secrets.c.digest,
            key_secrets.c.expires_ms.label("secret_expires_ms"),
            *virtual_keys.c,
        )
        .join(virtual_keys, virtual_keys.c.id == key_secrets.c.key_id)
        .where(key_secrets.c.digest.in_(digests))
    )
    now = time.time()
    found: dict[str, Principal | EndedKey] = {}
    async with database.read() as connection:
        rows: Sequence[Any] = (await connection.execute(statement)).all()
    for row in rows:
        try:
            key = read_key(row)
        except InternalError as error:
            # The others have been asked for with the same query.
            _log.error("key_unreadable", key=row.id, detail=error.log_detail)
            continue
        ends = (key.expires_at, to_seconds(row.secret_expires_ms))
        expires_at = min((end for end in ends if end is not None), default=None)
        key = replace(key, expires_at=expires_at)
        if key.is_usable(now):
            found[row.digest] = replace(key.principal, credential=row.digest)
        elif key.revoked_at is None:
            found[row.digest] = EndedKey(key.id, "expired")
        else:
            found[row.digest] = EndedKey(key.id, "revoked")
    return found


async def find_changes(database: Database, since: int) -> Changes:
    """Find which keys have changed.

    Args:
        database: Where the keys are.
        since: The number of the latest change that is known.

    Returns:
        All changes after that one.

    Raises:
        StorageUnavailableError: The database does not answer.
    """
    import sqlalchemy as sa

    from llm_proxy.storage.tables import virtual_keys

    changed = virtual_keys.c.changed_ms
    listed = (
        sa.select(virtual_keys.c.id)
        .where(changed > since)
        .limit(_MAX_LISTED_CHANGES + 1)
    )
    async with database.read() as connection:
        latest: int = await connection.scalar(sa.select(sa.func.max(changed))) or 0
        if latest == since:
            return Changes(frozenset(), latest)
        ids = frozenset(await connection.scalars(listed))
    # Fewer changes than are known: somebody has put an older database in its place.
    is_listed = latest > since and len(ids) <= _MAX_LISTED_CHANGES
    return Changes(ids if is_listed else None, latest)


async def find_older_secrets_end(database: Database, key: VirtualKey) -> float | None:
    """Find until when secrets of a key work that a rotation has replaced.

    Args:
        database: Where the keys are.
        key: Any key.

    Returns:
        When the last of them ends, in seconds since the epoch; None if none works.

    Raises:
        StorageUnavailableError: The database does not answer.
    """
    import sqlalchemy as sa

    from llm_proxy.storage.tables import key_secrets

    latest = sa.select(sa.func.max(key_secrets.c.expires_ms))
    async with database.read() as connection:
        of_key = key_secrets.c.key_id == key.id
        end = to_seconds(await connection.scalar(latest.where(of_key)))
    now = time.time()
    if end is None or end <= now or not key.is_usable(now):
        return None
    return end if key.expires_at is None else min(end, key.expires_at)
