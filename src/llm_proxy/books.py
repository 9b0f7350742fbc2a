"""The database and the ledger in it: opened with the service, and closed after it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.ledger import Ledger, Spool
from llm_proxy.telemetry import get_logger

if TYPE_CHECKING:
    from llm_proxy.storage import Database

_log = get_logger(__name__)


class Books:
    """What has to be opened before the first call, and closed after the last one.

    Args:
        url: The database, as `Database` takes it.
        spool_dir: A folder for what it does not take.

    Attributes:
        database: Has the rows.
        ledger: Writes them.

    Raises:
        ConfigurationError: The address is none.
    """

    def __init__(self, url: str, spool_dir: Path) -> None:
        # It brings SQLAlchemy, which takes long to import and is not always needed.
        from llm_proxy.storage import Database

        self.database: Database = Database(url)
        self.ledger = Ledger(self.database, Spool(spool_dir))

    async def open(self, *, upgrades: bool) -> None:
        """Open the database; one that does not answer may do so later.

        Args:
            upgrades: Whether its tables are made or changed where they have to be.

        Raises:
            ConfigurationError: They have to be, and that is left to a command.
            StorageUnavailableError: The spool's folder cannot be used.
        """
        from llm_proxy.storage import check, upgrade

        try:
            await self.database.open()
            await (upgrade if upgrades else check)(self.database)
        except StorageUnavailableError as error:
            _log.error("database_unavailable", detail=error.log_detail)
        await self.ledger.open()

    async def aclose(self) -> None:
        """Write what is left, and close the database."""
        await self.ledger.aclose()
        await self.database.aclose()
