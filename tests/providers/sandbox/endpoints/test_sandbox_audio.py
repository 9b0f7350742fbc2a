import httpx
import pytest
from openai import BadRequestError, PermissionDeniedError

SOUND = ("hello.wav", b"RIFF\r\n\x00--\xff", "audio/wav")
TEXT = 'The sandbox read: "hello.wav, 10 bytes"'


@pytest.mark.parametrize(
    ("form", "media_type"), [(None, "audio/mpeg"), ("wav", "audio/wav")]
)
async def test_speaks(openai, form, media_type):
    more = {} if form is None else {"response_format": form}
    speaking = openai.audio.speech.with_streaming_response.create(
        model="chunks-3", input="Hello", voice="alloy", **more
    )
    async with speaking as response:
        assert response.headers["content-type"] == media_type
        assert "content-length" not in response.headers
        sound = await response.read()
    assert len(sound) == 3 * 256


async def test_speech_is_cut_in_the_middle(client):
    request = {"model": "fault-cut", "input": "Hello", "voice": "alloy"}
    with pytest.raises(httpx.RemoteProtocolError):
        await client.post(
            "/audio/speech", json=request, headers={"authorization": "Bearer any"}
        )


async def test_refuses_to_say_nothing(openai):
    with pytest.raises(BadRequestError):
        await openai.audio.speech.create(model="sandbox", input="", voice="alloy")


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
@pytest.mark.parametrize("task", ["transcriptions", "translations"])
async def test_writes_down_in_three_forms(openai, task):
    create = getattr(openai.audio, task).create
    plain = await create(model="sandbox", file=SOUND)
    text = await create(model="sandbox", file=SOUND, response_format="text")
    verbose = await create(model="sandbox", file=SOUND, response_format="verbose_json")
    assert plain.text == TEXT
    assert text == f"{TEXT}\n"
    assert (verbose.text, verbose.language, verbose.duration) == (TEXT, "english", 1)
    assert verbose.segments[0].text == TEXT


async def test_transcriptions_report_usage(openai):
    answer = await openai.audio.transcriptions.create(model="sandbox", file=SOUND)
    assert (answer.usage.type, answer.usage.output_tokens) == ("tokens", 6)


async def test_transcriptions_stream(openai):
    stream = await openai.audio.transcriptions.create(
        model="sandbox", file=SOUND, stream=True, language="en", include=["logprobs"]
    )
    *deltas, done = [event async for event in stream]
    assert {event.type for event in deltas} == {"transcript.text.delta"}
    assert "".join(event.delta for event in deltas) == done.text == TEXT
    assert (done.type, done.usage.output_tokens) == ("transcript.text.done", 6)


@pytest.mark.parametrize("task", ["transcriptions", "translations"])
async def test_a_file_is_needed(client, task):
    response = await client.post(
        f"/audio/{task}",
        headers={"authorization": "Bearer any"},
        files={"model": (None, "sandbox")},
    )
    assert response.json()["error"]["param"] == "file"


async def test_fails_with_a_status(openai):
    with pytest.raises(PermissionDeniedError):
        await openai.audio.transcriptions.create(model="fault-403", file=SOUND)
