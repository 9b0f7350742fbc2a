"""The database and what lives in it: opened with the service, and closed after it."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack
from contextvars import Context
from typing import TYPE_CHECKING

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.idempotency import DatabaseStore
from llm_proxy.ledger import Ledger, Reservations, Spool
from llm_proxy.security import KeyRing, KeyStore, find_pepper, is_pepper_missing
from llm_proxy.settings import ConfigurationError
from llm_proxy.telemetry import get_logger
from llm_proxy.variables import HOSTED

if TYPE_CHECKING:
    from llm_proxy.settings import Settings
    from llm_proxy.storage import Database
    from llm_proxy.storage.process_lock import ProcessLock

_log = get_logger(__name__)
_PAUSE_SECONDS = 1.0
_NOT_SHARED = (
    "their limits need a shared store: set REDIS_URL, or SHARED_LIMITS=process if each "
    "process may keep limits and budgets of its own"
)
_NOT_SHARED_BY_IT = (
    "it keeps limits and budgets of its own: start it with the same REDIS_URL"
)


class Books:
    """What has to be opened before the first call, and closed after the last one.

    Args:
        settings: Say where the database is, and who else uses it.

    Attributes:
        database: The database.
        ledger: Writes rows.
        reservations: Remember the money of calls under way.
        answers: Keep answers to requests with an ``Idempotency-Key``.
        keys: Knows the virtual keys; None where their pepper is missing.
        ring: Has those that are in use.

    Raises:
        ConfigurationError: The address is none, or the pepper is no good.
    """

    def __init__(self, settings: Settings) -> None:
        # It brings SQLAlchemy, which takes long to import and is not always needed.
        from llm_proxy.storage import Database

        self._settings = settings
        self._opened = AsyncExitStack()
        self.database: Database = Database(settings.database_url.get_secret_value())
        self.ledger = Ledger(self.database, Spool(settings.spool_dir))
        self.reservations = Reservations(self.database, secrets.token_hex(16))
        self.answers = DatabaseStore(self.database)
        self.keys: KeyStore | None = None
        self.ring: KeyRing | None = None
        if not is_pepper_missing(settings):
            self.keys = KeyStore(self.database, find_pepper(settings))
            self.ring = KeyRing(self.keys, grace_seconds=settings.key_grace_seconds)

    async def open(self) -> None:
        """Open the database; one that does not answer may do so later.

        Raises:
            ConfigurationError: Its tables have to be made or changed, and that is left
                to a command; or another process uses it, and nothing is shared.
            StorageUnavailableError: The spool's folder cannot be used.
        """
        if self.keys is None:
            _log.warning("keys_disabled", missing="KEY_PEPPER")
        async with AsyncExitStack() as opened:
            opened.push_async_callback(self.database.aclose)
            opened.push_async_callback(self.answers.aclose)
            try:
                await self.database.open()
                await self._prepare_tables()
            except StorageUnavailableError as error:
                _log.error("database_unavailable", detail=error.log_detail)
                self._prepare_later(opened)
            alone = self._claim(opened)
            # Closed after the ledger, whose last rows release the last reservations.
            opened.push_async_callback(self.reservations.aclose)
            await self.reservations.open(alone=alone)
            opened.push_async_callback(self.ledger.aclose)
            await self.ledger.open()
            if self.ring is not None:
                opened.push_async_callback(self.ring.aclose)
                await self.ring.open()
            self._opened = opened.pop_all()

    async def _prepare_tables(self) -> None:
        """See that the tables are those of this program, or make them so."""
        from llm_proxy.storage import check, find_status, upgrade

        is_hosted = self._settings.environment in HOSTED
        if is_hosted and self.database.is_sqlite:
            # Nobody else can have plans with a file that this process has made.
            is_hosted = (await find_status(self.database)).revision is not None
        await (check if is_hosted else upgrade)(self.database)

    def _prepare_later(self, opened: AsyncExitStack) -> None:
        # In a context of its own: its log lines are nobody's request's.
        loop = asyncio.get_running_loop()
        preparing = loop.create_task(self._keep_preparing(), context=Context())

        async def stop() -> None:
            preparing.cancel()
            await asyncio.wait([preparing])

        opened.push_async_callback(stop)

    async def _keep_preparing(self) -> None:
        """Prepare the tables as soon as the database answers."""
        told = ""
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            try:
                await self._prepare_tables()
            except StorageUnavailableError:
                continue
            except ConfigurationError as error:
                # The command that it asks for may still be run.
                if str(error) != told:
                    told = str(error)
                    _log.error("database_not_usable", detail=told)
            else:
                _log.info("database_found")
                return

    def _claim(self, opened: AsyncExitStack) -> bool:
        """Find out whether others use the database; refuse what none of them shares."""
        from llm_proxy.storage.process_lock import ProcessLock

        is_shared = self._settings.redis_url is not None
        may_count_apart = self._settings.shared_limits == "process"
        if not self.database.is_sqlite:
            if not is_shared and not may_count_apart:
                raise ConfigurationError(
                    f"DATABASE_URL: many processes may use Postgres, and {_NOT_SHARED}"
                )
            return False
        file = self.database.file
        if file is None:
            return True
        lock = ProcessLock(file.with_name(f"{file.name}-lock"))
        opened.callback(lock.release)
        has_lock = _acquire(lock, shared=is_shared)
        if not has_lock and not may_count_apart:
            why = _NOT_SHARED_BY_IT if is_shared else _NOT_SHARED
            raise ConfigurationError(
                f"DATABASE_URL: another process uses this database, and {why}"
            )
        return has_lock and not is_shared

    async def aclose(self) -> None:
        """Write what is left, and close the database."""
        await self._opened.aclose()


def _acquire(lock: ProcessLock, *, shared: bool) -> bool:
    try:
        return lock.acquire(shared=shared)
    except OSError:
        # Where no file can be made there is no database for others either.
        return True
