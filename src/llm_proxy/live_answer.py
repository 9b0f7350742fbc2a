"""A streamed answer under way."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Generic

from llm_proxy.cache import Recording
from llm_proxy.delivery import F
from llm_proxy.errors import APIError, StorageUnavailableError
from llm_proxy.exchange import Exchange
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
        recording: Keeps it for others; None if nobody may have it.

    Attributes:
        first: What has come already; the iteration begins with it.
        deadline: When whoever iterates must give up, on the event loop's clock.
    """

    def __init__(
        self,
        shown: Shown[F],
        exchange: Exchange,
        verdict: Verdict,
        seconds: float,
        recording: Recording | None = None,
    ) -> None:
        self.exchange = exchange
        self.verdict = verdict
        self.first = shown.first
        exchange.target = shown.source.target
        self._has_begun = False
        self._fault: Exception | None = None
        self._source = shown.source
        self._attempt = shown.source.attempt
        self._rest = shown.rest
        self._recording = recording
        self._pulled: asyncio.Future[Sequence[F]] | None = None
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
                batch = await self._pull()
            except StopAsyncIteration:
                self._settle(None, None)
                await self.exchange.durable()
                if self._recording is not None:
                    await self._recording.keep(self.exchange)
                raise
            except Exception as error:
                self._settle(error, error)
                with suppress(StorageUnavailableError):
                    await self.exchange.durable()
                raise
        if self._source.attempt is not self._attempt:
            self.exchange.went_on(self._attempt.target)
            self._attempt = self._source.attempt
        self.exchange.note(batch)
        if self._recording is not None:
            self._recording.add(batch)
        return batch

    async def _pull(self) -> Sequence[F]:
        if self.exchange.lingering is None:
            return await anext(self._rest)
        # Whoever hangs up must not end what is to be read on.
        self._pulled = asyncio.ensure_future(anext(self._rest))
        batch = await asyncio.shield(self._pulled)
        self._pulled = None
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
        if self._recording is not None:
            self._recording.close(error)
        if error is None and (lingering := self.exchange.lingering) is not None:
            lingering.start(self._read_on())
            return
        if self._pulled is not None:
            self._pulled.cancel()
            await asyncio.wait([self._pulled])
        await self._rest.aclose()
        # Who is stopped for our or the caller's reasons has not failed.
        stopped = asyncio.CancelledError()
        self._settle(stopped, error or stopped)

    async def _read_on(self) -> None:
        """Read what the caller no longer wants, for what it says of its cost."""
        stopped = asyncio.CancelledError()
        outcome: BaseException | None = stopped
        try:
            if not self._has_begun:
                self.exchange.note(self.first)
            async with asyncio.timeout_at(self.deadline):
                if self._pulled is not None:
                    self.exchange.note(await self._pulled)
                while True:
                    self.exchange.note(await anext(self._rest))
        except StopAsyncIteration:
            outcome = None
        except APIError as error:
            outcome = error
        except TimeoutError:
            pass
        finally:
            await self._rest.aclose()
            self._settle(outcome, stopped)

    def _settle(
        self, outcome: BaseException | None, told: BaseException | None
    ) -> None:
        # Somebody else than at first may have come in between.
        source = self._source
        trace = source.plan.trace
        self.exchange.target = trace.answered_by = source.target
        source.attempt.end(outcome)
        if self._recording is not None and told is not None:
            self._recording.close(told)
        if isinstance(outcome, APIError):
            trace.broke_off(source.target, outcome)
        self.exchange.settle(told)
