"""What one key was answered, no other key ever sees, whichever process it asks."""

import asyncio
from collections import Counter

import pytest
from tests.live import CHAT

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("stream", [False, True])
async def test_two_tenants_with_one_prompt_ask_the_upstream_twice(
    company, callers, stream
):
    model = f"chunks-{7 + stream}"
    question = {"path": CHAT, "model": f"one/{model}", "prompt": "Hi", "stream": stream}
    keys = [await callers.key() for _ in range(2)]

    told = [
        await callers.ask(key, at=at, **question) for key in keys for at in range(4)
    ]

    caches = [each.headers["x-llm-proxy-cache"] for each in told]
    assert caches == ["miss", "hit", "hit", "hit"] * 2
    assert (await company.bill())[model]["requests"] == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_what_all_ask_at_the_same_time_is_asked_once(company, callers, stream):
    key = await callers.key()
    model = f"slow-first-token-{410 + stream}"
    question = {"path": CHAT, "model": f"one/{model}", "prompt": "Hi", "stream": stream}

    told = await asyncio.gather(
        *(callers.ask(key, at=number, **question) for number in range(20))
    )

    caches = Counter(each.headers["x-llm-proxy-cache"] for each in told)
    assert caches["miss"] == 1
    assert (await company.bill())[model]["requests"] == 1
