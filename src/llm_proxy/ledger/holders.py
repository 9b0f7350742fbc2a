"""Which processes have money set aside."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_proxy.storage.database import Database

_log = get_logger(__name__)


async def holders(database: Database) -> Sequence[str]:
    """Find whoever must be heard before a counter of money can begin.

    A process that has died is among them until its reservations may be marked as lost,
    from when on they count as spent.

    Args:
        database: Where reservations are.

    Returns:
        The names that `Reservations` were given; none if the database does not answer.
    """
    import sqlalchemy as sa

    from llm_proxy.storage.tables import reservations

    row = reservations.c
    now_ms = time.time_ns() // 1_000_000
    statement = (
        sa.select(row.process)
        .distinct()
        .where(row.state == "open", row.expires_ms > now_ms)
    )
    try:
        async with database.read() as connection:
            return (await connection.scalars(statement)).all()
    except StorageUnavailableError:
        # Nobody learns what was spent either, so that no counter of money begins.
        pass
    except Exception as error:  # noqa: BLE001 - limits in Redis do not depend on it
        _log.error("holders_unknown", reason=type(error).__name__)
    return ()
