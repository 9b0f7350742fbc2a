"""A streamed answer under way."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Generic

from llm_proxy.errors import APIError, StorageUnavailableError
from llm_proxy.exchange import Exchange, F
from llm_proxy.guardrails import Verdict
from llm_proxy.recovery import Shown


class LiveAnswer(Generic[F]):
    """A streamed answer under way.

    Iterate it to its end or close it; both settle its exchange. Errors are raised by
    the iteration, so a stream that just stops iterating is whole.

    Args:
        shown: What there is to iterate, and who it comes from.
        exchange: Its account.
        verdict: What the guardrails said of the question.
        seconds: The most that the whole answer may take.

    Attributes:
        first: What has come already; the iteration begins with it.
        deadline: When whoever iterates must give up, on the event loop's clock.
    """

    def __init__(
        self, shown: Shown[F], exchange: Exchange, verdict: Verdict, seconds: float
    ) -> None:
        self.exchange = exchange
        self.verdict = verdict
        self.first = shown.first
        exchange.target = shown.source.target
        self._has_begun = False
        self._fault: Exception | None = None
        self._source = shown.source
        self._rest = shown.rest
        left = max(0.0, seconds - exchange.seconds)
        self.deadline = asyncio.get_running_loop().time() + left

    def __aiter__(self) -> "LiveAnswer[F]":
        return self

    async def __anext__(self) -> Sequence[F]:
        exchange = self.exchange
        batch = await self._next()
        if exchange.is_booked and exchange.finish_reason is not None:
            # What makes the answer whole waits until it stands in the ledger.
            batch = [*batch, *await self._last()]
        return batch

    async def _next(self) -> Sequence[F]:
        if self._fault is not None:
            # Whoever raises what he keeps makes a cycle.
            fault, self._fault = self._fault, None
            raise fault
        if not self._has_begun:
            self._has_begun = True
            batch = self.first
        else:
            try:
                batch = await anext(self._rest)
            except StopAsyncIteration:
                self._settle(None, None)
                await self.exchange.durable()
                raise
            except Exception as error:
                self._settle(error, error)
                with suppress(StorageUnavailableError):
                    await self.exchange.durable()
                raise
        self.exchange.note(batch)
        return batch

    async def _last(self) -> list[F]:
        """Take all that is left, or up to an error that the next call raises."""
        held: list[F] = []
        try:
            while True:
                held += await self._next()
        except StopAsyncIteration:
            pass
        except Exception as error:  # noqa: BLE001 - raised by the next call
            self._fault = error
        return held

    async def aclose(self, error: BaseException | None = None) -> None:
        """Stop; the upstream's connection is closed if the answer is not whole.

        Args:
            error: Why it is not; default: the caller has hung up.
        """
        await self._rest.aclose()
        # Who is stopped for our or the caller's reasons has not failed.
        stopped = asyncio.CancelledError()
        self._settle(stopped, error or stopped)

    def _settle(
        self, outcome: BaseException | None, told: BaseException | None
    ) -> None:
        # Somebody else than at first may have come in between.
        source = self._source
        trace = source.plan.trace
        self.exchange.target = trace.answered_by = source.target
        source.attempt.end(outcome)
        if isinstance(outcome, APIError):
            trace.broke_off(source.target, outcome)
        self.exchange.settle(told)
