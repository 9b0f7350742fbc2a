"""`Idempotency-Key`, through the whole service."""

import asyncio
import sqlite3
from contextlib import suppress

import anthropic
import httpx
import httpx2
import openai
import pytest
from tests.conftest import JOKE, TOKEN, Child, openai_answer
from tests.live import body_for, live, until

from llm_proxy.errors import StorageUnavailableError

CHAT = "/chat"
OPENAI = "/v1/chat/completions"
ANTHROPIC = "/v1/messages"
KEY = {"Idempotency-Key": "order 42"}
LEASE_SECONDS = 60
ANY_KEY = "any"

CHAT_BODY = {"provider": "openai", "model": "gpt-4", "prompt": "Tell me a joke"}
CALLS = {
    "chat": (CHAT, CHAT_BODY),
    "chat, stream": (CHAT, CHAT_BODY | {"stream": True}),
    "webhook": ("/webhook", {"prompt": "We ship on Friday."}),
    "completions": (OPENAI, body_for(OPENAI, "openai/gpt-4", stream=False)),
    "completions, stream": (OPENAI, body_for(OPENAI, "openai/gpt-4")),
    "messages": (ANTHROPIC, body_for(ANTHROPIC, "openai/gpt-4", stream=False)),
    "messages, stream": (ANTHROPIC, body_for(ANTHROPIC, "openai/gpt-4")),
}
calls = pytest.mark.parametrize(
    ("path", "body"), [pytest.param(*call, id=name) for name, call in CALLS.items()]
)
roads = pytest.mark.parametrize(
    ("path", "body"), [CALLS[name] for name in ("chat", "completions", "messages")]
)


def speak(upstream, body):
    """Lets the upstream answer in the way that is asked for."""
    if body.get("stream"):
        upstream.streams("Why did ", "the model?")
    else:
        upstream.says(JOKE)


def live_body(path, model, stream):
    """Writes a request for a model of the sandbox."""
    if path == CHAT:
        return body_for(path, model, stream=stream) | {"provider": "one"}
    return body_for(path, f"one/{model}", stream=stream)


def is_replay(answer):
    return answer.headers.get("idempotent-replayed") == "true"


def message_of(answer):
    """What an error says, in any dialect."""
    return answer.json()["error"]["message"]


@calls
async def test_a_request_that_is_sent_again_gets_the_same_answer(
    client, upstream, path, body
):
    speak(upstream, body)
    caller = client(llm_provider="openai")
    first = await caller.post(path, json=body, headers=KEY)
    again = await caller.post(path, json=body, headers=KEY)
    assert (first.status_code, again.status_code) == (200, 200)
    assert (is_replay(first), is_replay(again)) == (False, True)
    assert again.content == first.content
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    if path == ANTHROPIC:
        assert again.headers["request-id"] == again.headers["x-request-id"]
    assert len(upstream.sent) == 1


async def test_without_the_header_every_request_runs(client, upstream):
    caller = client()
    for _ in range(2):
        assert not is_replay(await caller.post(CHAT, json=CHAT_BODY))
    assert len(upstream.sent) == 2


async def test_a_replay_keeps_what_is_true_of_the_answer(client, upstream):
    upstream.openai.side_effect = lambda _: httpx.Response(
        200,
        json=openai_answer(JOKE),
        headers={"x-request-id": "req_theirs", "x-ratelimit-remaining-requests": "7"},
    )
    caller = client()
    path, body = CALLS["completions"]
    first = await caller.post(path, json=body, headers=KEY)
    again = await caller.post(path, json=body, headers=KEY)
    assert first.headers["x-ratelimit-remaining-requests"] == "7"
    assert again.headers["x-upstream-request-id"] == "req_theirs"
    assert "x-ratelimit-remaining-requests" not in again.headers


async def test_all_addresses_of_a_route_share_their_keys(client, upstream):
    caller = client()
    for path in ("/chat", "/api/v1/chat"):
        answer = await caller.post(path, json=CHAT_BODY, headers=KEY)
    assert is_replay(answer)
    assert len(upstream.sent) == 1


async def test_a_key_of_one_route_means_nothing_to_another(client):
    caller = client(llm_provider="openai")
    for path, body in CALLS.values():
        if not body.get("stream"):
            answer = await caller.post(path, json=body, headers=KEY)
            assert (answer.status_code, is_replay(answer)) == (200, False)


async def test_two_callers_with_the_same_key_do_not_meet(client, build, upstream):
    app = build(api_token="alice:token_of_alice,bob:token_of_bob")
    for token in ("token_of_alice", "token_of_bob"):
        caller = client(app, headers={"x-api-token": token})
        answer = await caller.post(CHAT, json=CHAT_BODY, headers=KEY)
        assert (answer.status_code, is_replay(answer)) == (200, False)
    assert len(upstream.sent) == 2


async def test_nobody_gets_an_answer_without_a_token(client, build, upstream):
    app = build()
    await client(app).post(CHAT, json=CHAT_BODY, headers=KEY)
    for headers in ({}, {"x-api-token": "another"}):
        stranger = client(app, headers=headers)
        for body in (CHAT_BODY, CHAT_BODY | {"prompt": "Another"}):
            answer = await stranger.post(CHAT, json=body, headers=KEY)
            assert (answer.status_code, is_replay(answer)) == (401, False)
    assert len(upstream.sent) == 1


@roads
async def test_another_request_with_the_key_is_refused(client, upstream, path, body):
    caller = client()
    await caller.post(path, json=body, headers=KEY)
    others = [
        (body | {"temperature": 0.5}, {}),
        (body, {"x-llm-proxy-fallbacks": "anthropic/claude-sonnet-4-5"}),
        (body, {"anthropic-version": "2023-06-01"}),
        (body, {"content-type": "application/json; charset=utf-8"}),
    ]
    for fields, headers in others:
        answer = await caller.post(path, json=fields, headers=KEY | headers)
        assert answer.status_code == 422
        assert "was used with another request" in message_of(answer)
        assert answer.headers["x-should-retry"] == "false"
    assert len(upstream.sent) == 1
    # What programs change when they try again makes no other request.
    retry = {"x-stainless-retry-count": "1", "x-request-timeout": "9"}
    assert is_replay(await caller.post(path, json=body, headers=KEY | retry))


@roads
async def test_while_the_first_is_under_way_others_are_told_to_wait(
    client, upstream, path, body
):
    asked, goes_on = asyncio.Event(), asyncio.Event()

    async def late(_):
        asked.set()
        await goes_on.wait()
        return httpx.Response(200, json=openai_answer(JOKE))

    upstream.openai.side_effect = late
    caller = client()
    first = asyncio.create_task(caller.post(path, json=body, headers=KEY))
    await asked.wait()
    second = await caller.post(path, json=body, headers=KEY)
    assert second.status_code == 409
    assert "is still under way" in message_of(second)
    assert second.headers["retry-after"] == "1"
    assert second.headers.get("x-should-retry") != "false"
    other = await caller.post(path, json=body | {"temperature": 1}, headers=KEY)
    assert other.status_code == 422
    goes_on.set()
    assert (await first).status_code == 200
    assert is_replay(await caller.post(path, json=body, headers=KEY))
    assert upstream.openai.call_count == 1


@calls
@pytest.mark.parametrize(
    ("error", "status"), [(httpx.ConnectError("refused"), 502), (RuntimeError(), 500)]
)
async def test_a_failure_lets_the_next_one_run(
    client, upstream, path, body, error, status
):
    caller = client(llm_provider="openai")
    upstream.breaks(error)
    failed = await caller.post(path, json=body, headers=KEY)
    assert failed.status_code == status
    speak(upstream, body)
    again = await caller.post(path, json=body, headers=KEY)
    assert (again.status_code, is_replay(again)) == (200, False)


@pytest.mark.parametrize("name", [name for name in CALLS if "stream" in name])
async def test_a_stream_that_breaks_is_no_answer(client, upstream, name):
    path, body = CALLS[name]
    caller = client()
    upstream.streams("Why did ", end=httpx.ReadError("cut"))
    broken = await caller.post(path, json=body, headers=KEY)
    assert (broken.status_code, "error" in broken.text) == (200, True)
    speak(upstream, body)
    again = await caller.post(path, json=body, headers=KEY)
    assert ("error" in again.text, is_replay(again)) == (False, False)


async def test_what_is_refused_may_be_mended(client):
    caller = client()
    wrong = CHAT_BODY | {"prompt": ""}
    assert (await caller.post(CHAT, json=wrong, headers=KEY)).status_code == 400
    answer = await caller.post(CHAT, json=CHAT_BODY, headers=KEY)
    assert (answer.status_code, is_replay(answer)) == (200, False)


@pytest.mark.parametrize("key", [b"", b"x" * 256, b"caf\xe9", b"a\tb"])
async def test_keys_have_a_form(client, upstream, key):
    headers = [(b"idempotency-key", key)]
    answer = await client().post(CHAT, json=CHAT_BODY, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "VALIDATION_ERROR")
    assert upstream.sent == []


@pytest.mark.parametrize("key", [b"x", b"~" * 255, b'"8e03978e-40d5-43dd"'])
async def test_keys_in_that_form_are_taken(client, key):
    headers = [(b"idempotency-key", key)]
    answer = await client().post(CHAT, json=CHAT_BODY, headers=headers)
    assert answer.status_code == 200


async def test_two_keys_are_none(client):
    headers = [("idempotency-key", "one"), ("idempotency-key", "other")]
    answer = await client().post(CHAT, json=CHAT_BODY, headers=headers)
    assert answer.status_code == 400


async def test_a_body_is_bounded_before_it_is_kept(client, upstream):
    caller = client(max_v1_body_bytes=2000)
    long = CHAT_BODY | {"prompt": "x" * 2000}
    assert (await caller.post(CHAT, json=long, headers=KEY)).status_code == 413
    announced = KEY | {"content-length": "2001"}
    answer = await caller.post(CHAT, content=_unread(), headers=announced)
    assert answer.status_code == 413
    packed = KEY | {"content-encoding": "gzip"}
    answer = await caller.post(CHAT, json=CHAT_BODY, headers=packed)
    assert answer.status_code == 415
    assert upstream.sent == []


async def _unread():
    pytest.fail("the body was read")
    yield b""


async def test_a_very_long_answer_is_sent_and_not_kept(client, upstream, logs):
    upstream.says("x" * (8 * 1024 * 1024))
    caller = client()
    path, body = CALLS["completions"]
    for _ in range(2):
        answer = await caller.post(path, json=body, headers=KEY)
        assert (answer.status_code, is_replay(answer)) == (200, False)
    assert len(logs("idempotent_answer_too_large")) == 2


async def test_replays_count_against_the_rate_limit(client):
    caller = client(rate_limit=2)
    answers = [await caller.post(CHAT, json=CHAT_BODY, headers=KEY) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert is_replay(answers[1])
    assert answers[1].headers["x-ratelimit-remaining"] == "0"


async def test_a_form_is_the_same_with_another_boundary(client, upstream):
    async def transcribe(caller, boundary, model):
        form = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\n'
            f'{model}\r\n--{boundary}\r\nContent-Disposition: form-data; name="file"; '
            f'filename="a.wav"\r\n\r\n---\r\n--{boundary}--\r\n'
        )
        headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
        return await caller.post(
            "/v1/audio/transcriptions", content=form, headers=KEY | headers
        )

    upstream.transport = httpx.MockTransport(
        lambda _: httpx.Response(200, json={"text": "Hello"})
    )
    caller = client()
    first = await transcribe(caller, "one", "openai/whisper-1")
    again = await transcribe(caller, "other", "openai/whisper-1")
    other = await transcribe(caller, "one", "openai/whisper-2")
    assert (first.status_code, first.json()) == (200, {"text": "Hello"})
    assert (is_replay(again), again.content) == (True, first.content)
    assert other.status_code == 422


@roads
async def test_without_a_store_nothing_is_paid_for(client, upstream, path, body):
    nobody = "postgresql://127.0.0.1:1/name"
    answer = await client(database_url=nobody).post(path, json=body, headers=KEY)
    assert answer.status_code == 503
    assert "database" in message_of(answer)
    assert upstream.sent == []


async def test_an_answer_that_cannot_be_kept_is_sent(
    client, build, upstream, monkeypatch, logs
):
    app = build()

    async def fail(*_):
        raise StorageUnavailableError(log_detail="taken away")

    monkeypatch.setattr(app.state.idempotency, "save", fail)
    answer = await client(app).post(CHAT, json=CHAT_BODY, headers=KEY)
    assert answer.json()["response"] == JOKE
    [line] = logs("idempotency_not_settled")
    assert line["detail"] == "taken away"
    assert KEY["Idempotency-Key"] not in str(line)


async def test_the_sdks_can_send_keys(client, build, upstream):
    app = build()
    transport = {"base_url": "http://proxy.test/v1", "http_client": client(app)}
    messages = [{"role": "user", "content": "Tell me a joke"}]
    sdk = openai.AsyncOpenAI(api_key=TOKEN, **transport)
    said = [
        await sdk.chat.completions.create(
            model="openai/gpt-4", messages=messages, extra_headers=KEY
        )
        for _ in range(2)
    ]
    assert said[0] == said[1]
    transport["base_url"] = "http://proxy.test"
    sdk = anthropic.AsyncAnthropic(api_key=TOKEN, **transport)
    said = []
    for _ in range(2):
        raw = await sdk.messages.with_raw_response.create(
            model="anthropic/claude-sonnet-4-5",
            messages=messages,
            max_tokens=9,
            extra_headers=KEY,
        )
        said.append(await raw.parse())
    assert is_replay(raw)
    assert said[0] == said[1]
    assert len(upstream.sent) == 2


@pytest.mark.integration
@pytest.mark.parametrize("path", [CHAT, OPENAI, ANTHROPIC])
@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_kept_before_all_of_it_is_sent(
    settings, restored_logging, tmp_path, path, stream
):
    async with live(settings, tmp_path) as service:
        saving, goes_on = asyncio.Event(), asyncio.Event()
        store = service.app.state.idempotency
        save = store.save

        async def late(*answer):
            saving.set()
            await goes_on.wait()
            return await save(*answer)

        store.save = late
        body = live_body(path, "sandbox", stream)
        asking = asyncio.create_task(service.client.post(path, json=body, headers=KEY))
        await saving.wait()
        done, _ = await asyncio.wait({asking}, timeout=0.1)
        assert not done
        goes_on.set()
        assert (await asking).status_code == 200
        assert is_replay(await service.client.post(path, json=body, headers=KEY))


@pytest.mark.integration
@pytest.mark.parametrize("path", [CHAT, OPENAI, ANTHROPIC])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_caller_who_hangs_up_stops_the_upstream(
    settings, restored_logging, tmp_path, path, stream
):
    model = "slow-stream-200" if stream else "fault-hang"
    async with live(settings, tmp_path) as service:
        body = live_body(path, model, stream)

        async def ask():
            ask = service.client.stream("POST", path, json=body, headers=KEY)
            async with ask as answer:
                await anext(answer.aiter_raw())

        asking = asyncio.create_task(ask())
        await until(lambda: len(service.asked) == 1)
        if stream:
            await asking
        asking.cancel()
        # Within the 2 s that are promised.
        await service.until_idle()
        with suppress(asyncio.CancelledError):
            await asking
        again = asyncio.create_task(ask())
        await until(lambda: len(service.asked) == 2)
        again.cancel()


@pytest.mark.integration
def test_another_process_answers_for_one_that_was_killed(tmp_path):
    file = tmp_path / "llm-proxy.db"
    headers = KEY | {"authorization": f"Bearer {TOKEN}"}
    body = body_for(OPENAI, "sandbox/sandbox", "one two three", stream=False)
    hanging = body | {"model": "sandbox/fault-hang"}
    other_key = headers | {"Idempotency-Key": "order 43"}
    with Child(
        tmp_path / "sandbox", "llm_proxy.providers.sandbox", "--port", "0"
    ) as up:

        def serve(name):
            return Child(
                tmp_path / name,
                "llm_proxy",
                "serve",
                API_TOKEN=TOKEN,
                ENVIRONMENT="testing",
                PORT="0",
                LLM_PROVIDER="sandbox",
                SANDBOX_BASE_URL=f"{up.url}/v1",
                SANDBOX_API_KEY=ANY_KEY,
                DATABASE_URL=f"sqlite:///{file}",
            )

        def asked():
            return httpx2.get(f"{up.url}/_sandbox/stats").json()["requests"]

        def ask(service, body, headers):
            url = service.url + OPENAI
            return httpx2.post(url, json=body, headers=headers, timeout=30)

        killed = serve("killed")
        first = ask(killed, body, headers)
        with pytest.raises(httpx2.TransportError):
            asyncio.run(_ask_until_killed(killed, up.url, hanging, other_key))
        killed.process.wait(20)
        with serve("other") as other:
            again = ask(other, body, headers)
            assert (is_replay(again), again.content) == (True, first.content)
            assert ask(other, hanging, other_key).status_code == 409
            # A minute later.
            with sqlite3.connect(file) as connection:
                connection.execute(
                    "UPDATE idempotency SET expires_ms = expires_ms - ?"
                    " WHERE status IS NULL",
                    [LEASE_SECONDS * 1000],
                )
            assert asked() == 2
            late = ask(other, body, other_key)
            assert (late.status_code, is_replay(late), asked()) == (200, False, 3)


async def _ask_until_killed(service, upstream, body, headers):
    async with httpx2.AsyncClient(timeout=30) as caller:
        asking = asyncio.create_task(
            caller.post(service.url + OPENAI, json=body, headers=headers)
        )
        async with asyncio.timeout(20):
            while not (await caller.get(f"{upstream}/_sandbox/stats")).json()["open"]:
                pass
        service.process.kill()
        await asking
