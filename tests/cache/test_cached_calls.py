"""The cache as programs see it."""

import asyncio

import pytest
from tests.conftest import JOKE

TOKENS = "anna:token-of-anna,bert:token-of-bert"
V1 = {"cache_policy": "all", "cache_surfaces": "openai,anthropic"}
QUESTION = {"model": "gpt-4", "messages": [{"role": "user", "content": "Hello?"}]}
RESPONSE = {
    "model": "anthropic/claude-sonnet-4-5",
    "input": "Hello?",
    "store": False,
}
MESSAGE = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 9,
    "messages": QUESTION["messages"],
}


def caching(**overrides) -> dict:
    return {"cache_policy": "all", **overrides}


def use(answer) -> str | None:
    """What an answer says of the cache."""
    assert answer.status_code == 200, answer.text
    return answer.headers.get("x-llm-proxy-cache")


async def test_a_question_on_chat_is_asked_once(client, upstream):
    caller = client(**caching())
    first, second = [await caller.chat() for _ in range(2)]

    assert [use(first), use(second)] == ["miss", "hit"]
    assert len(upstream.sent) == 1
    assert second.json()["response"] == first.json()["response"] == JOKE
    assert second.json()["meta"]["cached"] is True
    assert second.json()["meta"]["usage"] == first.json()["meta"]["usage"]
    assert second.headers["x-request-id"] != first.headers["x-request-id"]
    assert 0 <= int(second.headers["age"]) < 60
    assert second.headers["cache-control"] == "private, no-store"


async def test_a_task_is_done_once(client, upstream):
    caller = client(**caching())
    first, second, other = [
        await caller.webhook(type=each) for each in ("summary", "summary", "custom")
    ]

    assert [use(each) for each in (first, second, other)] == ["miss", "hit", "miss"]
    assert second.json()["summary"] == first.json()["summary"]
    assert len(upstream.sent) == 2


async def test_ten_at_a_time_make_one_call(client, upstream):
    caller = client(**caching())
    answers = await asyncio.gather(*(caller.chat() for _ in range(10)))

    assert sorted(map(use, answers)) == ["hit"] * 9 + ["miss"]
    assert len(upstream.sent) == 1


async def test_callers_never_share(build, client, upstream):
    app = build(**caching(api_token=TOKENS))
    for name in ("anna", "bert"):
        caller = client(app, headers={"x-api-token": f"token-of-{name}"})
        assert use(await caller.chat()) == "miss"

    assert len(upstream.sent) == 2


async def test_personal_data_is_asked_each_time(client, upstream):
    caller = client(**caching())
    for _ in range(2):
        assert use(await caller.chat("Write to anna@example.com")) is None

    assert len(upstream.sent) == 2


async def test_an_error_is_not_kept(client, upstream):
    caller = client(**caching())
    upstream.fails(503)
    assert (await caller.chat()).status_code != 200
    upstream.says(JOKE)

    assert use(await caller.chat()) == "miss"


async def test_a_stream_is_replayed_as_a_stream(client, upstream):
    upstream.streams("Why ", "did the", " model")
    caller = client(**caching())
    first, second = [await caller.chat(stream=True) for _ in range(2)]

    assert [use(first), use(second)] == ["miss", "hit"]
    assert second.headers["content-type"] == first.headers["content-type"]
    assert '"response":"Why did the model"' in second.text
    assert "event: done" in second.text
    assert upstream.open_streams == 0
    upstream.says(JOKE)
    assert use(await caller.chat()) == "miss"


async def test_a_stream_that_breaks_is_not_kept(client, upstream):
    caller = client(**caching())
    upstream.streams("Why ", end=ConnectionError())
    assert "event: error" in (await caller.chat(stream=True)).text
    upstream.streams("Whole")

    answer = await caller.chat(stream=True)
    assert use(answer) == "miss"
    assert '"response":"Whole"' in answer.text


@pytest.mark.parametrize(
    ("control", "uses"),
    [
        ("no-store", ["miss", None, "hit"]),
        ("no-cache", ["miss", None, "hit"]),
        ("max-age=0", ["miss", None, "hit"]),
        ("max-age=60", ["miss", "hit", "hit"]),
    ],
)
async def test_callers_say_what_they_want(client, upstream, control, uses):
    caller = client(**caching())
    body = {"provider": "openai", "model": "gpt-4", "prompt": "Hello?"}
    headers = [{}, {"cache-control": control}, {}]
    answers = [await caller.post("/chat", json=body, headers=each) for each in headers]

    assert [use(each) for each in answers] == uses


async def test_v1_is_cached_where_the_operator_says_so(client, upstream):
    caller = client(**caching())
    for _ in range(2):
        assert use(await caller.post("/v1/chat/completions", json=QUESTION)) is None

    assert len(upstream.sent) == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", QUESTION),
        ("/v1/chat/completions", QUESTION | {"stream": True}),
        ("/v1/responses", RESPONSE),
        ("/v1/messages", MESSAGE),
    ],
    ids=["chat", "stream", "responses", "messages"],
)
async def test_programs_get_the_same_answer_again(client, upstream, path, body):
    if body.get("stream"):
        upstream.streams("Why ", "did the")
    caller = client(**V1)
    first, second = [await caller.post(path, json=body) for _ in range(2)]

    assert [use(first), use(second)] == ["miss", "hit"]
    assert len(upstream.sent) == 1
    assert len(second.content) == len(first.content)


async def test_what_is_stored_is_asked_each_time(client, upstream):
    caller = client(**V1)
    body = RESPONSE | {"store": True}
    answers = [await caller.post("/v1/responses", json=body) for _ in range(2)]

    assert [use(each) for each in answers] == [None, None]
    assert answers[0].json()["id"] != answers[1].json()["id"]
    assert len(upstream.sent) == 2


async def test_an_answer_that_is_given_again_has_an_id_of_its_own(client):
    caller = client(**V1)
    first, second = [
        (await caller.post("/v1/responses", json=RESPONSE)).json() for _ in range(2)
    ]

    assert first["id"] != second["id"]
    assert first["output"][0]["id"] != second["output"][0]["id"]
    assert first["output"][0]["content"] == second["output"][0]["content"]
    assert first["usage"] == second["usage"]


async def test_operators_see_what_the_cache_does(client):
    caller = client(**caching(environment="development"))
    for prompt in ("a", "a", "anna@example.com"):
        await caller.chat(prompt)
    metrics = (await caller.get("/metrics")).text

    for result, times in (("hit", 1), ("miss", 1), ("bypass", 1)):
        assert f'llm_cache_requests_total{{result="{result}"}} {times}.0' in metrics
