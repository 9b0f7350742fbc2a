"""What is booked of answers whose tokens nobody reports, over real sockets."""

import asyncio
from dataclasses import replace

import pytest
from tests.live import CHAT, PATHS, live, until

from llm_proxy.delivery import Delivery
from llm_proxy.demand import NO_TOKENS, demand_of_fields
from llm_proxy.tokens import count_tokens
from llm_proxy.types import Usage

pytestmark = pytest.mark.integration

LONG = "one two three four five six seven eight nine ten eleven twelve"
CONFIG = """
models:
  untold: {deployments: [{model: one/missing-usage}]}
  untold-claude: {deployments: [{model: claude/missing-usage}]}
  slow: {deployments: [{model: one/slow-stream-20}]}
  slow-claude: {deployments: [{model: claude/slow-stream-20}]}
  cut: {deployments: [{model: one/fault-cut}], retries: 0}
  cut-claude: {deployments: [{model: claude/fault-cut}], retries: 0}
  mute: {deployments: [{model: one/fault-hang}], retries: 0}
  faulty: {deployments: [{model: one/fault-502}], retries: 0}
  went-on:
    deployments: [{model: one/fault-cut}]
    fallbacks: [two/sandbox]
    retries: 0
    stream_recovery: continue
"""
FOUND = "status, usage_source, input_tokens, output_tokens"


@pytest.fixture
async def service(settings, restored_logging, tmp_path, sqlite_url):
    values = {"database_url": sqlite_url, "spool_dir": tmp_path / "spool"}
    async with live(settings, tmp_path, CONFIG, **values) as it:
        yield it


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("model", ["untold", "untold-claude"])
async def test_a_whole_answer_is_counted(service, path, model):
    heard = await service.hear(path, model, LONG)
    await service.ask(path, model, LONG)
    said = count_tokens([heard.text], "missing-usage")
    read = count_tokens([LONG], "missing-usage")
    assert service.rows(FOUND) == [("answered", "counted", read, said)] * 2


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("model", ["cut", "cut-claude"])
async def test_of_a_stream_that_dies_it_is_what_was_delivered(service, path, model):
    heard = await service.hear(path, model, LONG)
    said = count_tokens([heard.text], "fault-cut")
    ((*found, written),) = service.rows(FOUND)
    # Anthropic's upstream says at once how long the question is.
    assert found == ["broken", "partial", len(LONG.split())]
    assert abs(written - said) <= 1


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("model", ["slow", "slow-claude"])
async def test_of_one_that_nobody_hears_to_its_end_as_well(service, path, model):
    await service.hang_up(path, model, LONG)
    await until(lambda: bool(service.rows("id")))
    ((*found, written),) = service.rows(FOUND)
    assert found == ["abandoned", "partial", len(LONG.split())]
    assert 1 <= written < len(LONG.split())


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("stream", [True, False])
async def test_before_the_first_word_it_is_the_question(service, path, stream):
    asking = asyncio.create_task(service.ask(path, "mute", LONG, stream=stream))
    await until(lambda: len(service.received) == 1)
    asking.cancel()
    await until(lambda: bool(service.rows("id")))
    assert service.rows(FOUND) == [("abandoned", "partial", len(LONG.split()), 0)]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("stream", [True, False])
async def test_of_a_failure_it_is_nothing(service, path, stream):
    await service.ask(path, "faulty", LONG, stream=stream)
    await until(lambda: bool(service.rows("id")))
    assert service.rows(FOUND) == [("failed", "none", 0, 0)]


@pytest.mark.parametrize("path", PATHS)
async def test_of_a_silence_that_the_caller_bounds_it_is_the_question(service, path):
    """Or a deadline of the caller's own would make questions free."""
    service.client.headers["x-request-timeout"] = "0.2"
    answer = await service.ask(path, "mute", LONG)
    assert answer.status_code == 504
    await until(lambda: bool(service.rows("id")))
    assert service.rows(FOUND) == [("failed", "partial", len(LONG.split()), 0)]


@pytest.mark.parametrize(
    ("bound", "written"), [({"max_output_tokens": 77}, 77), ({}, 4096)]
)
def test_an_answer_that_comes_later_is_as_long_as_it_may_be(bound, written):
    delivery = Delivery(demand_of_fields({"input": LONG, "background": True, **bound}))
    usage = delivery.count("gpt-4", is_whole=False)
    assert usage == Usage(count_tokens([LONG], "gpt-4"), written, source="partial")


def test_of_vectors_that_nobody_waits_for_it_is_the_question():
    demand = replace(demand_of_fields({"input": [[1, 2], [3]]}), output_tokens=0)
    assert Delivery(demand).count("m", is_whole=False) == Usage(3, 0, source="partial")
    assert Delivery(demand).count("m", is_whole=True) == Usage()
    assert Delivery(NO_TOKENS).count("m", is_whole=False) == Usage()


@pytest.mark.parametrize("path", PATHS)
async def test_both_halves_of_a_stream_are_booked(service, path):
    heard = await service.hear(path, "went-on", LONG)
    assert heard.is_whole
    first, second = service.rows(f"attempt, provider, {FOUND}")
    assert first[:4] == (1, "one", "broken", "partial")
    assert second[:4] == (2, "two", "answered", "provider")
    assert first[5] > 0
    # The second one has read what the first one has said.
    assert second[4] > first[4]


async def test_the_answer_says_who_has_counted(service):
    meta = (await service.ask(CHAT, "untold", LONG)).json()["meta"]
    assert meta["usage"]["source"] == "counted"
    assert meta["usage"]["output_tokens"] > 0
