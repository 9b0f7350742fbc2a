"""Streams of providers that bill them whole, and callers who hang up."""

import asyncio

import pytest
from tests.live import PATHS, live, until

pytestmark = pytest.mark.integration

CONFIG = """
  whole: {api: openai, base_url: "{url}", api_key: "${UPSTREAM_KEY}", hung_up: drain}
models:
  slow: {deployments: [{model: whole/slow-stream-20}]}
  stalled: {deployments: [{model: whole/fault-stalled}]}
  cut: {deployments: [{model: whole/fault-cut}]}
  endless: {deployments: [{model: whole/fault-endless}]}
"""
LONG = "one two three four five six seven eight nine ten eleven twelve"
FOUND = "status, usage_source, input_tokens, output_tokens"


@pytest.fixture
def service(settings, restored_logging, tmp_path, sqlite_url):
    def service(**overrides: object):
        values = {"database_url": sqlite_url, "spool_dir": tmp_path / "spool"}
        return live(settings, tmp_path, CONFIG, **values | overrides)

    return service


@pytest.mark.parametrize("path", PATHS)
async def test_they_are_read_to_their_end(service, path):
    async with service() as it:
        await it.hear(path, "slow", LONG)
        await it.hang_up(path, "slow", LONG)
        await until(lambda: len(it.rows("id")) == 2)
        whole, hung_up = it.rows(FOUND)
        assert hung_up == ("abandoned", "provider", *whole[2:])
        await it.until_idle()


@pytest.mark.parametrize("path", PATHS)
async def test_what_they_cost_comes_off_the_budget(service, path):
    async with (
        service() as it,
        it.with_key(allowance={"concurrent_requests": 1}) as caller,
    ):
        await caller.hang_up(path, "slow", LONG)
        # It still runs.
        assert (await caller.ask(path, "slow")).status_code == 429
        await until(lambda: len(it.rows("id")) == 1)
        assert (await caller.ask(path, "slow")).status_code == 200


async def test_one_that_dies_is_booked_as_far_as_it_came(service):
    async with service() as it:
        for path in PATHS:
            await it.hang_up(path, "cut", LONG)
        await until(lambda: len(it.rows("id")) == len(PATHS))
        for status, source, read, written in it.rows(FOUND):
            assert (source, read) == ("partial", len(LONG.split()))
            assert status in ("abandoned", "broken")
            assert written > 0


@pytest.mark.parametrize("model", ["stalled", "endless"])
async def test_nobody_reads_for_ever(service, model):
    async with service(stream_deadline=0.5) as it:
        await it.hang_up(PATHS[0], model, LONG)
        await until(lambda: len(it.rows("id")) == 1)
        assert it.rows("status, usage_source") == [("abandoned", "partial")]
        await it.until_idle()


async def test_a_service_that_stops_books_them(service, settings, tmp_path):
    async with service() as it:
        await it.hang_up(PATHS[0], "stalled", LONG)
        await asyncio.sleep(0.05)
        assert it.rows("id") == []
    assert it.rows("status, usage_source") == [("abandoned", "partial")]
