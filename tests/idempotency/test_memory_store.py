from llm_proxy.idempotency import Claim, MemoryStore, SavedAnswer

ANSWER = SavedAnswer(200, (), bytes(10_000))


async def test_the_oldest_answers_make_room(clock):
    store = MemoryStore(50_000, clock)
    for number in range(6):
        await store.save(await store.claim(f"{number}", "request"), ANSWER)
    claims = [await store.claim(f"{number}", "request") for number in range(6)]
    assert [isinstance(claim, Claim) for claim in claims] == 2 * [True] + 4 * [False]


async def test_short_answers_are_not_kept_without_end(clock):
    store = MemoryStore(50_000, clock)
    for number in range(100):
        claim = await store.claim(f"{number}", "request")
        await store.save(claim, SavedAnswer(200, (), b""))
    assert isinstance(await store.claim("0", "request"), Claim)


async def test_requests_under_way_keep_their_claims(clock):
    store = MemoryStore(0, clock)
    claim = await store.claim("key", "request")
    await store.save(await store.claim("another", "request"), ANSWER)
    assert isinstance(await store.claim("another", "request"), Claim)
    assert await store.renew(claim)
