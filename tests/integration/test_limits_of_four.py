"""Limits are exact over four processes, whatever a burst asks of them."""

import asyncio

import pytest
from tests.integration.company import ANSWER_NANOS, money_for

pytestmark = pytest.mark.integration

CALLS = 200


@pytest.mark.parametrize("stream", [False, True])
async def test_money_for_twenty_calls_pays_for_twenty(company, callers, stream):
    key, name = await callers.key_and_id(**money_for(20))

    assert await callers.burst(CALLS, key, stream=stream) == {200: 20, 402: CALLS - 20}
    [row] = await company.rows(
        "SELECT count(*), sum(cost_nanos) FROM ledger WHERE principal = $1", name
    )
    assert row == (20, 20 * ANSWER_NANOS)
    assert (await callers.ask(key)).status == 402


@pytest.mark.parametrize("stream", [False, True])
async def test_a_minute_has_twenty_requests(callers, stream):
    key = await callers.key(requests_per_minute=20)

    assert await callers.burst(CALLS, key, stream=stream) == {200: 20, 429: CALLS - 20}
    refused = await callers.ask(key)
    assert refused.status == 429
    assert 0 < int(refused.headers["retry-after"]) <= 60


async def test_no_more_than_eight_calls_run_at_the_same_time(company, callers):
    model = "one/slow-first-token-300"
    key = await callers.key(concurrent_requests=8)

    for stream in (False, True):
        found = await callers.burst(CALLS, key, model=model, stream=stream)
        assert found.keys() == {200, 429}
        assert found[200] >= 8
    bill = await company.bill()
    assert bill["slow-first-token-300"]["most_open"] == 8
