"""Endpoints besides chat: OpenAI's SDK, the service and the sandbox on real sockets."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator

import httpx2
import pytest
from openai import (
    APIError,
    AsyncOpenAI,
    AuthenticationError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
)

pytestmark = pytest.mark.integration

SOUND = ("hello.wav", os.urandom(100_000) + b"\r\n--\r\n", "audio/wav")
HEARD = 'The sandbox read: "hello.wav, 100006 bytes"'


@pytest.fixture(scope="module")
def sandbox(start):
    return start("llm_proxy.providers.sandbox", "--port", "0")


@pytest.fixture(scope="module")
def service(start, sandbox):
    return start(
        "llm_proxy",
        API_TOKEN="test_token",
        ENVIRONMENT="testing",
        LLM_PROVIDER="sandbox",
        SANDBOX_API_KEY="any",
        SANDBOX_BASE_URL=f"{sandbox.url}/v1",
        ANTHROPIC_API_KEY="key",
        PORT="0",
        RATE_LIMIT_ENABLED="false",
        RETRY_ATTEMPTS="1",
        # What one test does to the upstream must not keep others from it.
        BREAKER_FAILURES="0",
        BREAKER_COOLDOWN_SECONDS="0.01",
    )


@pytest.fixture
async def openai(service) -> AsyncIterator[AsyncOpenAI]:
    url = f"{service.url}/v1"
    async with AsyncOpenAI(api_key="test_token", base_url=url, max_retries=0) as sdk:
        yield sdk


@pytest.fixture
async def client(service) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"authorization": "Bearer test_token"}
    async with httpx2.AsyncClient(base_url=service.url, headers=headers) as client:
        yield client


@pytest.fixture
async def upstream(sandbox) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"authorization": "Bearer any"}
    async with httpx2.AsyncClient(base_url=sandbox.url, headers=headers) as client:
        yield client


async def received(upstream) -> dict:
    """What has reached the sandbox last."""
    return (await upstream.get("/_sandbox/requests")).json()[-1]


def account(service, feature: str) -> dict:
    """What was logged of the last call of a kind."""
    marks = ('"llm_call"', f'"{feature}"')
    for _ in range(100):
        lines = [
            line
            for line in service.log.splitlines()
            if all(mark in line for mark in marks)
        ]
        if lines:
            return json.loads(lines[-1])
        time.sleep(0.02)
    return {}


class TestEmbeddings:
    @pytest.mark.parametrize("model", ["embed", "embed-floats-only"])
    async def test_vectors_are_the_same_in_both_forms(self, openai, model):
        create = openai.embeddings.create
        as_base64 = await create(model=f"sandbox/{model}", input=["a", "b"])
        as_floats = await create(
            model=f"sandbox/{model}", input=["a", "b"], encoding_format="float"
        )

        assert [each.embedding for each in as_base64.data] == [
            each.embedding for each in as_floats.data
        ]
        assert [len(each.embedding) for each in as_base64.data] == [8, 8]
        assert as_base64.usage.prompt_tokens == 2

    async def test_upstreams_without_base64_are_made_up_for(self, client):
        body = {"input": "a", "encoding_format": "base64"}
        answers = [
            await client.post("/v1/embeddings", json=body | {"model": model})
            for model in ("sandbox/embed", "sandbox/embed-floats-only")
        ]
        vectors = [answer.json()["data"][0]["embedding"] for answer in answers]

        assert isinstance(vectors[0], str)
        assert vectors[0] == vectors[1]

    async def test_nothing_but_the_model_changes_on_the_way(
        self, client, upstream, service
    ):
        body = b'{ "model":"sandbox/embed" ,"input": [[1, 2]]}'
        answer = await client.post(
            "/v1/embeddings",
            content=body,
            headers={"content-type": "application/json"},
        )
        sent = (await received(upstream))["body"]
        direct = await upstream.post("/v1/embeddings", content=sent)

        assert sent == body.decode().replace("sandbox/embed", "embed")
        assert answer.content == direct.content
        upstream_id = answer.headers["x-upstream-request-id"]
        assert upstream_id == direct.headers["x-request-id"]
        assert account(service, "v1.embeddings")["input_tokens"] == 2

    @pytest.mark.parametrize("text", [None, "", []])
    async def test_there_must_be_something_to_embed(self, openai, text):
        with pytest.raises(BadRequestError) as refused:
            await openai.embeddings.create(model="sandbox/embed", input=text)

        assert refused.value.body["param"] == "input"

    @pytest.mark.parametrize(
        ("model", "status"),
        [
            ("fault-400", 400),
            ("fault-403", 502),
            ("fault-200-error", 502),
            ("fault-malformed", 502),
            ("fault-html", 502),
            ("fault-empty-content", 502),
        ],
    )
    async def test_failures_have_their_status(self, client, model, status):
        answer = await client.post(
            "/v1/embeddings", json={"model": f"sandbox/{model}", "input": "a"}
        )

        assert answer.status_code == status
        assert answer.json()["error"]["message"]

    async def test_providers_without_the_endpoint_say_so(self, openai):
        with pytest.raises(BadRequestError, match="/embeddings"):
            await openai.embeddings.create(model="anthropic/claude-x", input="a")

    async def test_nobody_unknown_is_served(self, openai):
        stranger = openai.with_options(api_key="wrong")
        with pytest.raises(AuthenticationError):
            await stranger.embeddings.create(model="sandbox/embed", input="a")


class TestModerations:
    async def test_texts_are_judged(self, openai):
        judged = await openai.moderations.create(
            model="sandbox/omni-moderation-latest", input=["hello", "attack"]
        )
        assert [each.flagged for each in judged.results] == [False, True]

    async def test_without_a_model_it_is_the_vendors(self, openai):
        with pytest.raises(NotFoundError, match="omni-moderation-latest"):
            await openai.moderations.create(input="hello")


class TestImages:
    async def test_images_are_made(self, openai, service):
        made = await openai.images.generate(
            model="sandbox/sandbox", prompt="a cat", n=2
        )

        assert [bool(image.b64_json) for image in made.data] == [True, True]
        logged = account(service, "v1.images.generations")
        assert logged["input_tokens"] == made.usage.input_tokens
        assert logged["output_tokens"] == made.usage.output_tokens

    async def test_without_a_model_it_is_the_newest(self, openai):
        with pytest.raises(NotFoundError, match="chatgpt-image-latest"):
            await openai.images.generate(prompt="a cat")

    async def test_images_are_edited(self, openai):
        image = ("cat.png", b"\x89PNG\r\n\x1a\n", "image/png")
        edited = await openai.images.edit(
            model="sandbox/sandbox", image=[image, image], prompt="a dog"
        )

        assert edited.usage.input_tokens_details.image_tokens == 2

    async def test_images_are_varied(self, client):
        answer = await client.post(
            "/v1/images/variations",
            data={"model": "sandbox/sandbox"},
            files={"image": b"\x89PNG"},
        )

        assert answer.json()["data"][0]["b64_json"]

    async def test_edits_may_be_json(self, client, upstream):
        body = {"model": "sandbox/sandbox", "prompt": "a dog", "images": []}
        await client.post("/v1/images/edits", json=body)
        sent = await received(upstream)

        assert sent["path"] == "/v1/images/edits"
        assert json.loads(sent["body"]) == body | {"model": "sandbox"}

    @pytest.mark.parametrize(
        ("form", "status"),
        [({"prompt": "a dog"}, 400), ({"model": "sandbox/sandbox"}, 400)],
        ids=["no model", "what the vendor refuses"],
    )
    async def test_forms_that_lack_something_are_refused(self, client, form, status):
        answer = await client.post(
            "/v1/images/edits", data=form, files={"image": b"\x89PNG"}
        )

        assert answer.status_code == status
        assert answer.json()["error"]["type"] == "invalid_request_error"


class TestSpeech:
    async def test_sound_comes_as_it_is(self, openai, upstream):
        asked = {"model": "chunks-3", "input": "Hello", "voice": "alloy"}
        direct = await upstream.post("/v1/audio/speech", json=asked)
        speaking = openai.audio.speech.with_streaming_response.create(
            **asked | {"model": "sandbox/chunks-3"}
        )
        async with speaking as response:
            sound = await response.read()

        assert sound == direct.content
        assert response.headers["content-type"] == direct.headers["content-type"]

    async def test_a_cut_answer_has_no_clean_end(self, openai, service):
        with pytest.raises((httpx2.RemoteProtocolError, APIError)):
            await openai.audio.speech.create(
                model="sandbox/fault-cut", input="Hello", voice="alloy"
            )

        logged = account(service, "v1.audio.speech")
        assert logged["code"] == "LLM_STREAM_BROKEN"
        assert "unhandled_exception" not in service.log

    async def test_a_page_for_people_is_no_sound(self, openai):
        with pytest.raises(InternalServerError):
            await openai.audio.speech.create(
                model="sandbox/fault-html", input="Hello", voice="alloy"
            )

    async def test_who_hangs_up_stops_the_upstream(self, client, upstream, service):
        async def aborted() -> int:
            return (await upstream.get("/_sandbox/stats")).json()["aborted"]

        before = await aborted()
        asked = {"model": "sandbox/fault-stalled", "input": "Hello", "voice": "alloy"}
        async with client.stream("POST", "/v1/audio/speech", json=asked) as response:
            await anext(response.aiter_raw())

        for _ in range(100):
            if await aborted() > before and '"CancelledError"' in service.log:
                return
            await asyncio.sleep(0.02)
        pytest.fail("the sandbox is still speaking, or the call is not accounted for")


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
class TestTranscripts:
    @pytest.mark.parametrize("task", ["transcriptions", "translations"])
    async def test_every_form_of_transcript_comes_through(self, openai, task):
        create = getattr(openai.audio, task).create
        plain, text, verbose = [
            await create(model="sandbox/sandbox", file=SOUND, response_format=form)
            for form in ("json", "text", "verbose_json")
        ]

        assert (plain.text, text, verbose.text) == (HEARD, f"{HEARD}\n", HEARD)

    async def test_nothing_but_the_model_changes_on_the_way(
        self, client, upstream, service
    ):
        form = {"model": "sandbox/sandbox", "prompt": "a\r\nb"}
        request = client.build_request(
            "POST",
            "/audio/transcriptions",
            data=form,
            files={"file": ("a.wav", b"RIFF\r\n")},
        )
        body = request.read()
        answer = await client.send(request)
        sent = await received(upstream)

        assert sent["body"] == body.decode().replace("sandbox/sandbox", "sandbox")
        assert sent["headers"]["content-type"] == request.headers["content-type"]
        used = answer.json()["usage"]
        logged = account(service, "v1.audio.transcriptions")
        assert logged["output_tokens"] == used["output_tokens"] > 0

    async def test_transcripts_are_streamed(self, openai, service):
        stream = await openai.audio.transcriptions.create(
            model="sandbox/sandbox", file=SOUND, stream=True
        )
        *deltas, done = [event async for event in stream]

        assert "".join(event.delta for event in deltas) == done.text == HEARD
        logged = account(service, "v1.audio.transcriptions")
        assert logged["output_tokens"] == done.usage.output_tokens

    @pytest.mark.parametrize(
        "model", ["fault-cut", "fault-no-finish", "fault-mid-stream-error"]
    )
    async def test_a_broken_stream_ends_with_an_error(self, openai, model):
        async def listen():
            stream = await openai.audio.transcriptions.create(
                model=f"sandbox/{model}", file=SOUND, stream=True
            )
            return [event async for event in stream]

        # An error that comes together with the first event still has its status.
        with pytest.raises(APIError):
            await listen()

    async def test_an_error_as_the_first_event_has_its_status(self, openai):
        with pytest.raises(InternalServerError):
            await openai.audio.transcriptions.create(
                model="sandbox/fault-first-event-error", file=SOUND, stream=True
            )
