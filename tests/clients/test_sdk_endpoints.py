"""What SDKs can do besides conversations."""

import base64

import openai as openai_sdk
import pytest

pytestmark = pytest.mark.integration

UPSTREAMS = pytest.mark.parametrize("provider", ["openai", "compatible"])
QUESTION = {"messages": [{"role": "user", "content": "Hello there"}]}
TOOL = {"name": "weather", "input_schema": {"type": "object", "properties": {}}}


@pytest.mark.parametrize("provider", ["openai", "compatible", "azure", "gemini"])
def test_vectors_are_the_same_as_floats_and_as_base64(openai, provider):
    texts = {"model": f"{provider}/embed", "input": ["one", "two"]}
    # It is what the SDK asks for, unless it is told otherwise.
    as_base64 = openai.embeddings.create(**texts)
    as_floats = openai.embeddings.create(**texts, encoding_format="float")
    vectors = [each.embedding for each in as_floats.data]
    assert [each.embedding for each in as_base64.data] == vectors
    assert len(vectors) == 2
    assert vectors[0] != vectors[1]


@pytest.mark.parametrize("provider", ["anthropic", "bedrock"])
def test_providers_without_vectors_refuse(openai, provider):
    with pytest.raises(openai_sdk.BadRequestError) as caught:
        openai.embeddings.create(model=f"{provider}/embed", input="one")
    assert caught.value.code == "unsupported_feature"


@UPSTREAMS
def test_moderations(openai, provider):
    judge = openai.moderations.create
    found = judge(model=f"{provider}/sandbox", input=["attack", "hello"])
    assert [each.flagged for each in found.results] == [True, False]


@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini"])
def test_completions(openai, provider):
    asked = {"model": f"{provider}/sandbox", "prompt": "Hello there"}
    plain = openai.completions.create(**asked)
    with openai.completions.create(**asked, stream=True) as chunks:
        pieces = [chunk.choices[0].text for chunk in chunks if chunk.choices]
    assert plain.choices[0].text == 'The sandbox read: "Hello there"'
    assert plain.choices[0].finish_reason == "stop"
    assert "".join(pieces) == plain.choices[0].text


def test_tokens_are_counted_by_who_can(anthropic, sandbox):
    count = anthropic.messages.count_tokens
    assert count(model="anthropic/sandbox", **QUESTION).input_tokens == 2
    assert sandbox.received()["path"] == "/v1/messages/count_tokens"


@pytest.mark.parametrize("provider", ["openai", "gemini", "bedrock"])
def test_tokens_are_estimated_elsewhere(anthropic, provider):
    asked = {"model": f"{provider}/sandbox", **QUESTION}
    count = anthropic.messages.count_tokens
    few = count(**asked).input_tokens
    more = count(**asked, tools=[TOOL], system="Be brief.").input_tokens
    assert 2 <= few < more < 100


@UPSTREAMS
def test_images(openai, provider):
    images = openai.images.generate(model=f"{provider}/sandbox", prompt="A grey pixel")
    pixels = base64.b64decode(images.data[0].b64_json)
    assert pixels.startswith(b"\x89PNG")
    edited = openai.images.edit(
        model=f"{provider}/sandbox", image=("a.png", pixels), prompt="Greyer"
    )
    assert edited.data[0].b64_json


@UPSTREAMS
def test_audio(openai, provider):
    model = f"{provider}/sandbox"
    spoken = openai.audio.speech.create(model=model, voice="alloy", input="One two")
    # 256 bytes for each word of the sandbox.
    assert len(spoken.read()) == 5 * 256
    sound = ("hello.wav", b"\r\n--noise", "audio/wav")
    heard = openai.audio.transcriptions.create(model=model, file=sound)
    assert heard.text == 'The sandbox read: "hello.wav, 9 bytes"'
    events = list(
        openai.audio.transcriptions.create(model=model, file=sound, stream=True)
    )
    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == heard.text
