"""What callers of the cache see: hits, misses, and those who wait."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.cache.answered import USAGE, Answered, entry, question

from llm_proxy.cache import (
    Cache,
    CacheControl,
    Lookup,
    MemoryStore,
    Policy,
    read_cache_control,
)
from llm_proxy.cache.entry import MAX_BODY_BYTES
from llm_proxy.errors import InvalidInputError, LLMTimeoutError
from llm_proxy.types import Chunk, FinishReason
from llm_proxy.wire import Passage, gather

NO_CACHE = CacheControl(reads=False)
NO_STORE = read_cache_control("no-store")


class Asking:
    """A service with a cache, and an upstream that counts its calls."""

    def __init__(self, store, policy: Policy) -> None:
        self.calls = 0
        self.results: list[str] = []
        self.cache = Cache(store, policy, "1", self.results.append)

    async def ask(
        self,
        prompt: str = "a",
        *,
        tenant: str = "anna",
        control: CacheControl | None = None,
        upstream: Callable[[], Answered] = Answered,
        **changes,
    ) -> bytes:
        control = control or CacheControl()
        asked = question(prompt, **changes)
        with await self.cache.ask(tenant, asked, control) as lookup:
            if lookup.entry is not None:
                return lookup.entry.body
            self.calls += 1
            number = self.calls
            await asyncio.sleep(0.01)
            account = upstream()
            body = b"%d" % number
            await lookup.keep(account, body)
            return body


def raising(error: BaseException) -> Callable[[], Answered]:
    def upstream() -> Answered:
        raise error

    return upstream


@pytest.fixture
def service(store) -> Asking:
    return Asking(store, Policy("all", 60.0))


async def test_a_question_is_asked_once(service):
    assert [await service.ask() for _ in range(3)] == [b"1"] * 3
    assert service.results == ["miss", "hit", "hit"]


async def test_ten_at_a_time_make_one_call(service):
    answers = await asyncio.gather(*(service.ask() for _ in range(10)))

    assert answers == [b"1"] * 10
    assert sorted(service.results) == ["flight"] * 9 + ["miss"]


async def test_tenants_never_share(service):
    one = service.ask(tenant="anna")
    other = service.ask(tenant="bert")

    assert set(await asyncio.gather(one, other)) == {b"1", b"2"}
    assert await service.ask(tenant="bert") != await service.ask(tenant="anna")
    assert service.calls == 2


async def test_answers_of_another_version_are_not_found(store):
    for version in "12":
        cache = Cache(store, Policy("all"), version, lambda _: None)
        lookup = await cache.ask("anna", question())
        assert lookup.entry is None
        await lookup.keep(Answered(), b"a")


@pytest.mark.parametrize(
    "changes",
    [{"has_pii": True}, {"surface": "openai"}, {"control": NO_STORE}],
    ids=str,
)
async def test_what_is_not_to_be_kept_is_asked_each_time(service, changes):
    both = asyncio.gather(service.ask(**changes), service.ask(**changes))

    assert set(await both) == {b"1", b"2"}
    assert await service.ask(**changes) == b"3"
    assert service.results == ["bypass"] * 3


async def test_no_store_does_not_read_what_others_keep(service):
    await service.ask()

    assert await service.ask(control=NO_STORE) == b"2"
    assert await service.ask() == b"1"


async def test_no_cache_does_not_read_but_keeps(service):
    await service.ask()

    assert await service.ask(control=NO_CACHE) == b"2"
    assert await service.ask() == b"2"
    assert service.results == ["miss", "bypass", "hit"]


async def test_max_age_wants_answers_that_are_young_enough(store):
    service = Asking(store, Policy("all", 60.0))
    lookup = await service.cache.ask("anna", question("a"))
    await lookup.keep(Answered(), b"a")
    slot = lookup._slot
    await store.put("anna", slot.key, entry(b"old", time.time() - 30), 60)

    assert await service.ask(control=CacheControl(max_age_seconds=100)) == b"old"
    assert await service.ask(control=CacheControl(max_age_seconds=10)) == b"1"
    assert await service.ask(control=CacheControl(max_age_seconds=10)) == b"1"


@pytest.mark.parametrize("reason", ["content_filter", "refusal", "tool_calls", None])
async def test_what_is_not_whole_is_not_kept(service, reason: FinishReason | None):
    account = Answered(finish_reason=reason)
    asked = [service.ask(upstream=lambda: account) for _ in range(3)]

    assert sorted(await asyncio.gather(*asked)) == [b"1", b"2", b"3"]


async def test_an_empty_answer_is_not_kept(service):
    for _ in range(2):
        with await service.cache.ask("anna", question()) as lookup:
            assert lookup.entry is None
            await lookup.keep(Answered(), b"")


async def test_errors_are_not_kept_and_the_next_asks(service):
    failing = asyncio.create_task(service.ask(upstream=raising(LLMTimeoutError())))
    await asyncio.sleep(0)
    others = asyncio.gather(*(service.ask() for _ in range(3)))

    with pytest.raises(LLMTimeoutError):
        await failing
    assert await others == [b"2"] * 3


async def test_a_leader_who_hangs_up_fails_nobody(service):
    asked = asyncio.Event()

    def upstream() -> Answered:
        asked.set()
        raise asyncio.CancelledError

    leader = asyncio.create_task(service.ask(upstream=upstream))
    await asyncio.sleep(0)
    others = asyncio.gather(*(service.ask() for _ in range(3)))
    await asked.wait()

    assert await others == [b"2"] * 3
    assert leader.cancelled()


async def test_a_mistake_in_the_question_is_asked_once(service):
    refusing = raising(InvalidInputError("too hot"))
    asked = [service.ask(upstream=refusing) for _ in range(5)]
    told = await asyncio.gather(*asked, return_exceptions=True)

    assert [type(each) for each in told] == [InvalidInputError] * 5
    assert service.calls == 1


async def test_a_leader_who_keeps_nothing_holds_nobody_up(service):
    with await service.cache.ask("anna", question()) as lookup:
        waiting = asyncio.create_task(service.ask("Capital of France?"))
        await asyncio.sleep(0.01)
        assert not waiting.done()
    assert lookup.result == "miss"

    assert await waiting == b"1"


async def test_who_has_waited_half_of_the_time_asks_without_the_leader(service):
    leading = await service.cache.ask("anna", question())
    with await service.cache.ask("anna", question(), seconds=0.06) as lookup:
        assert lookup.entry is None
        assert lookup.waited_seconds > 0.02
        await lookup.keep(Answered(), b"second")
    leading.close()

    assert (await service.cache.ask("anna", question())).entry.body == b"second"


async def test_a_purged_answer_is_asked_for_again(service):
    await service.ask()
    await service.cache.purge("anna")

    assert await service.ask() == b"2"


async def test_smart_keeps_what_is_expensive(store):
    service = Asking(store, Policy("smart"))
    dear = Answered(nanos=20_000_000)

    assert [await service.ask("a") for _ in range(2)] == [b"1", b"2"]
    assert [await service.ask("b", upstream=lambda: dear) for _ in range(2)] == [
        b"3",
        b"3",
    ]


async def test_smart_keeps_what_was_asked_six_times(store):
    service = Asking(store, Policy("smart"))

    answers = [await service.ask() for _ in range(8)]

    assert answers == [b"1", b"2", b"3", b"4", b"5", b"6", b"6", b"6"]


async def test_those_who_ask_at_the_same_time_share_what_smart_does_not_keep(store):
    service = Asking(store, Policy("smart"))

    assert await asyncio.gather(service.ask(), service.ask()) == [b"1", b"1"]
    assert await service.ask() == b"2"


@pytest.mark.parametrize(("extra", "calls"), [(0, 1), (1, 2)])
async def test_long_answers_are_shared_but_not_kept(service, extra, calls):
    body = b"x" * (MAX_BODY_BYTES + extra)
    made = 0

    async def ask() -> bytes:
        nonlocal made
        with await service.cache.ask("anna", question()) as lookup:
            if lookup.entry is None:
                made += 1
                await asyncio.sleep(0.01)
                await lookup.keep(Answered(), body)
                return body
            return lookup.entry.body

    assert await asyncio.gather(ask(), ask()) == [body, body]
    assert made == 1
    await ask()
    assert made == calls


async def streamed(lookup: Lookup, batches, account: Answered | None) -> None:
    """Lets a stream pass, which is whole if there is an account of it."""
    with lookup:
        recording = lookup.record()
    for batch in batches:
        recording.add(batch)
    if account is not None:
        await recording.keep(account)
    recording.close()


async def test_texts_of_a_stream_are_replayed_as_a_stream(service):
    asked = question(stream=True)
    lookup = await service.cache.ask("anna", asked)
    batches = [[Chunk("Par"), Chunk("is"), Chunk()], [Chunk(", où", "stop", USAGE)]]
    await streamed(lookup, batches, Answered())

    found = (await service.cache.ask("anna", asked)).entry
    assert gather(found.chunks).text == "Paris, où"
    assert (await service.cache.ask("anna", replace(asked, stream=False))).entry is None


async def test_bytes_of_a_stream_are_replayed_with_our_headers(service):
    own = (b"x-llm-proxy-dropped", b"seed")
    first = Passage(b"data: 1\n\n", headers=(own, (b"x-request-id", b"r")))
    lookup = await service.cache.ask("anna", question())
    await streamed(
        lookup, [[first], [Passage(b""), Passage(b"data: 2\n\n")]], Answered()
    )

    found = (await service.cache.ask("anna", question())).entry
    assert found.body == b"data: 1\n\ndata: 2\n\n"
    assert found.headers == (own,)
    assert (found.usage, found.finish_reason) == (USAGE, "stop")


async def test_a_stream_that_breaks_is_not_kept_and_the_next_asks(service):
    lookup = await service.cache.ask("anna", question("a"))
    waiting = asyncio.create_task(service.ask("a"))
    await asyncio.sleep(0.01)
    await streamed(lookup, [[Chunk("Par")]], None)

    assert await waiting == b"1"


async def test_those_who_wait_get_a_stream_once_it_is_whole(service):
    lookup = await service.cache.ask("anna", question("a"))
    waiting = asyncio.create_task(service.ask("a"))
    await asyncio.sleep(0.01)
    await streamed(lookup, [[Chunk("Paris")]], Answered())

    assert await waiting == b"Paris"


async def test_nobody_waits_for_a_stream_that_is_too_long_to_be_kept(service):
    lookup = await service.cache.ask("anna", question("a"))
    waiting = asyncio.create_task(service.ask("a"))
    await asyncio.sleep(0.01)
    recording = lookup.record()
    for _ in range(3):
        recording.add([Chunk("x" * MAX_BODY_BYTES)])

    assert await waiting == b"1"
    await recording.keep(Answered())
    assert await service.ask("a") == b"1"


async def test_a_stream_that_is_not_kept_is_not_recorded(service):
    lookup = await service.cache.ask("anna", question(), NO_STORE)

    assert lookup.record() is None


async def test_a_stream_that_fails_behind_its_recording_lets_the_next_ask(service):
    lookup = await service.cache.ask("anna", question("a"))
    with pytest.raises(LLMTimeoutError), lookup:
        raise LLMTimeoutError(lookup.record())

    assert await service.ask("a") == b"1"


async def test_who_hangs_up_while_the_store_is_asked_holds_nobody_up():
    class Slow(MemoryStore):
        async def get(self, tenant, key):
            await asyncio.sleep(0.01)
            return await super().get(tenant, key)

    service = Asking(Slow(1_000_000), Policy("all"))
    leader = asyncio.create_task(service.ask())
    await asyncio.sleep(0)
    follower = asyncio.create_task(service.ask())
    await asyncio.sleep(0)
    leader.cancel()

    assert await follower == b"1"
    assert service.calls == 1


async def test_who_hangs_up_while_the_answer_is_put_away_has_told_it_to_all():
    class Stuck(MemoryStore):
        async def put(self, tenant, key, entry, ttl_seconds):
            await asyncio.sleep(60)

    service = Asking(Stuck(1_000_000), Policy("all"))
    leader = asyncio.create_task(service.ask())
    follower = asyncio.create_task(service.ask())
    await asyncio.sleep(0.05)
    leader.cancel()

    assert await follower == b"1"
