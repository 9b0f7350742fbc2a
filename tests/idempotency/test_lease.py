import asyncio
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.idempotency import Claim, Earlier, Lease, MemoryStore, SavedAnswer

ANSWER = SavedAnswer(200, (), b"answer")


class Fickle(MemoryStore):
    """A store that a test can take away, or hold up.

    Attributes:
        is_down: Whether it is away.
        hangs: Whether nothing comes to an end.
        renewals: How many somebody has asked for.
    """

    def __init__(self, clock) -> None:
        super().__init__(2**20, clock)
        self.is_down = self.hangs = False
        self.renewals = 0

    async def _fail(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.is_down:
            raise StorageUnavailableError(log_detail="taken away")

    async def renew(self, claim):
        self.renewals += 1
        await self._fail()
        return await super().renew(claim)

    async def save(self, claim, answer):
        await self._fail()
        return await super().save(claim, answer)

    async def renewed(self, times):
        target = self.renewals + times
        async with asyncio.timeout(10):
            while self.renewals < target:  # noqa: ASYNC110 - it is not told
                await asyncio.sleep(0.001)


@pytest.fixture
def store(clock) -> Fickle:
    return Fickle(clock)


@pytest.fixture
async def lease(store) -> Lease:
    claim = await store.claim("key", "request")
    return Lease(store, claim, renew_seconds=0.001, save_seconds=0.02)


async def test_a_claim_lasts_as_long_as_its_request(store, clock, lease):
    async with lease:
        for _ in range(5):
            await store.renewed(2)
            clock.passes(59)
        assert await store.claim("key", "request") == Earlier("request", None)


@pytest.mark.parametrize("ending", [None, RuntimeError, asyncio.CancelledError])
async def test_a_request_that_just_ends_gives_its_claim_up(store, lease, ending):
    with suppress(RuntimeError, asyncio.CancelledError):
        async with lease:
            if ending is not None:
                raise ending
    assert isinstance(await store.claim("key", "request"), Claim)
    renewals = store.renewals
    await asyncio.sleep(0.02)
    assert store.renewals == renewals


async def test_the_first_word_counts(store, lease):
    async with lease:
        await lease.settle(ANSWER)
        await lease.settle(None)
    assert await store.claim("key", "request") == Earlier("request", ANSWER)


@pytest.mark.parametrize("trouble", ["is_down", "hangs"])
async def test_a_store_in_trouble_spoils_no_answer(store, lease, trouble):
    setattr(store, trouble, True)
    with capture_logs() as lines:
        async with lease:
            await lease.settle(ANSWER)
    assert [line["event"] for line in lines] == ["idempotency_not_settled"]
    # The next one may run.
    assert isinstance(await store.claim("key", "request"), Claim)


async def test_a_renewal_that_fails_is_tried_again(store, lease, clock):
    with capture_logs() as lines:
        async with lease:
            store.is_down = True
            await store.renewed(2)
            store.is_down = False
            await store.renewed(2)
            clock.passes(59)
            assert await store.claim("key", "request") == Earlier("request", None)
    assert "idempotency_not_renewed" in {line["event"] for line in lines}


async def test_who_has_lost_the_claim_does_not_save(store, lease, clock):
    with capture_logs() as lines:
        async with lease:
            clock.passes(61)
            await store.claim("key", "another request")
            await lease.settle(ANSWER)
    assert [line["event"] for line in lines] == ["idempotency_claim_lost"]
    assert await store.claim("key", "any") == Earlier("another request", None)
