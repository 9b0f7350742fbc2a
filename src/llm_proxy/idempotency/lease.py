"""Holds a claim for as long as its request runs."""

import asyncio
from types import TracebackType
from typing import Self

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.idempotency.store import Claim, SavedAnswer, Store
from llm_proxy.telemetry import get_logger

_log = get_logger(__name__)
# A third of a claim's life: two renewals may fail.
_RENEW_SECONDS = 20.0
# Callers wait for it with a whole answer at hand.
_SAVE_SECONDS = 2.0


class Lease:
    """Keeps a claim alive, and settles it once.

    Used as an async context manager around the request, which releases the claim if it
    has not been settled. What goes wrong with the store is logged and not raised: the
    answer has been paid for.

    Args:
        store: Has the claim.
        claim: The claim.
        renew_seconds: How often it is renewed.
        save_seconds: How long the store may take to save the answer.
    """

    def __init__(
        self,
        store: Store,
        claim: Claim,
        *,
        renew_seconds: float = _RENEW_SECONDS,
        save_seconds: float = _SAVE_SECONDS,
    ) -> None:
        self._store = store
        self._claim = claim
        self._renew_seconds = renew_seconds
        self._save_seconds = save_seconds
        self._is_settled = False

    async def __aenter__(self) -> Self:
        self._renewal = asyncio.create_task(self._renew())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.settle(None)
        # It refers back to this; a cycle would wait for the garbage collector.
        del self._renewal

    async def settle(self, answer: SavedAnswer | None) -> None:
        """Say what has become of the request; only the first word counts.

        Args:
            answer: What the next request with the key is answered; None to let it run.
        """
        if self._is_settled:
            return
        self._renewal.cancel()
        if answer is None:
            self._store.release(self._claim)
            self._is_settled = True
        else:
            self._is_settled = await self._save(answer)

    async def _save(self, answer: SavedAnswer) -> bool:
        """Save the answer; returns whether the store has spoken."""
        try:
            async with asyncio.timeout(self._save_seconds):
                if not await self._store.save(self._claim, answer):
                    _log.error("idempotency_claim_lost")
            return True
        except StorageUnavailableError as error:
            _log.error("idempotency_not_settled", detail=error.log_detail)
        except TimeoutError:
            _log.error("idempotency_not_settled", detail="it took too long")
        return False

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._renew_seconds)
            try:
                if not await self._store.renew(self._claim):
                    return
            except StorageUnavailableError as error:
                _log.warning("idempotency_not_renewed", detail=error.log_detail)
