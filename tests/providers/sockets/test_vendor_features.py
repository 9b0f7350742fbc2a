"""Providers of Google, Amazon and Microsoft over real sockets, against the sandbox."""

import base64
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from llm_proxy.providers import LLMProvider
from llm_proxy.types import (
    ChatRequest,
    ChatResponse,
    Chunk,
    Media,
    Message,
    Part,
    Reasoning,
    ResponseFormat,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    said,
)
from llm_proxy.wire import Asked, Inquiry
from llm_proxy.wire.gathering import gather

pytestmark = pytest.mark.integration

QUESTION = ChatRequest((said("user", "Hello there"),), max_tokens=2000)
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Rome", "Oslo"]}},
    "required": ["city"],
    "additionalProperties": False,
}
LOOK = Tool("look", "Looks.", SCHEMA)
PIXEL = base64.b64encode(b"a pixel").decode()

GEMINI_2 = "gemini/gemini-2.5-flash"
GEMINI_3 = "gemini/gemini-3-pro-preview"
CLAUDE = "bedrock/us.anthropic.claude-sonnet-4-5"
NOVA = "bedrock/amazon.nova-pro"
AZURES = ("azure", "azure-dated")


def among(*upstreams: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("upstream", upstreams)


GEMINIS = (GEMINI_2, GEMINI_3)
EVERY = among(*GEMINIS, CLAUDE, NOVA, *AZURES)
THINKING = among(*GEMINIS, CLAUDE)


class Canonical:
    """A surface whose callers speak no dialect: they see what providers make."""

    name = "canonical"

    def __init__(self, request: ChatRequest) -> None:
        self.request = request
        self.chunks: list[Chunk] = []
        self.answer: ChatResponse | None = None

    def decode_request(self, fields: object) -> ChatRequest:
        return self.request

    def encode_response(self, response: ChatResponse, asked: Asked) -> bytes:
        self.answer = response
        return b"{}"

    def stream_encoder(self, asked: Asked) -> "Canonical":
        return self

    def feed(self, chunks: Sequence[Chunk]) -> bytes:
        self.chunks += chunks
        return b"data: {}\n\n"

    def close(self) -> bytes:
        self.answer = gather(self.chunks)
        return b"data: [DONE]\n\n"


async def whole(provider: LLMProvider, request: ChatRequest) -> ChatResponse:
    surface = Canonical(request)
    await provider.relay(Inquiry(surface, b"", Asked("", 0, "", {}), stream=False))
    return surface.answer


async def streamed(provider: LLMProvider, request: ChatRequest) -> ChatResponse:
    surface = Canonical(request)
    inquiry = Inquiry(surface, b"", Asked("", 0, "", {}), stream=True)
    async for _ in provider.relay_stream(inquiry):
        pass
    return surface.answer


EITHER_WAY = pytest.mark.parametrize("call", [whole, streamed])


def asking(text: str, **more: object) -> ChatRequest:
    return replace(QUESTION, messages=(said("user", text),), **more)


def go_on(request: ChatRequest, answer: ChatResponse, *said: Part) -> ChatRequest:
    turns = Message("assistant", answer.parts), Message("user", said)
    return replace(request, messages=(*request.messages, *turns))


@EVERY
@EITHER_WAY
async def test_text(provider_at, upstream, call):
    answer = await call(await provider_at(upstream), QUESTION)
    assert answer.text == 'The sandbox read: "Hello there"'
    assert answer.finish_reason == "stop"
    usage = answer.usage
    assert (usage.input_tokens, usage.output_tokens, usage.source) == (2, 5, "provider")


@EVERY
@EITHER_WAY
async def test_instructions_and_settings(provider_at, upstream, call):
    request = replace(
        QUESTION,
        messages=(said("system", "Be brief."), *QUESTION.messages),
        temperature=0.5,
        max_tokens=4,
    )
    answer = await call(await provider_at(upstream), request)
    assert answer.text.strip() == 'The sandbox read: "Hello'
    assert answer.finish_reason == "length"
    assert answer.usage.input_tokens == 4


@EVERY
@EITHER_WAY
async def test_stop_texts(provider_at, upstream, call):
    provider = await provider_at(upstream)
    answer = await call(provider, replace(QUESTION, stop=("read",)))
    assert (answer.text.strip(), answer.finish_reason) == ("The sandbox", "stop")


@EVERY
@EITHER_WAY
async def test_a_tool_and_its_result(provider_at, upstream, call):
    provider = await provider_at(upstream)
    request = asking("Please look at Oslo.", tools=(LOOK,))
    answer = await call(provider, request)
    assert answer.finish_reason == "tool_calls"
    (tool_call,) = answer.parts
    assert isinstance(tool_call, ToolCall)
    assert (tool_call.name, json.loads(tool_call.arguments)) == (
        "look",
        {"city": "Oslo"},
    )
    result = ToolResult(tool_call.id, (Text("It rains."),))
    answer = await call(provider, go_on(request, answer, result))
    assert answer.text == 'The tool look answered: "It rains."'


@EVERY
@EITHER_WAY
async def test_several_calls_and_a_long_conversation(provider_at, upstream, call):
    provider = await provider_at(upstream)
    tools = (LOOK, replace(LOOK, name="listen"))
    request = asking("Use tools parallel.", tools=tools)
    for _ in range(2):
        answer = await call(provider, request)
        calls = [part for part in answer.parts if isinstance(part, ToolCall)]
        assert [each.name for each in calls] == ["look", "listen"]
        assert len({each.id for each in calls}) == 2
        results = [ToolResult(each.id, (Text("Done."),)) for each in calls]
        request = go_on(request, answer, *results)
        answer = await call(provider, request)
        assert answer.text.count('answered: "Done."') == 2
        request = go_on(request, answer, Text("Use tools parallel."))


@among(*GEMINIS, CLAUDE, NOVA)
async def test_calls_that_another_model_has_made(provider_at, upstream):
    messages = (
        said("user", "Please look."),
        Message("assistant", (ToolCall("call/1", "look", '{"city": "Rome"}'),)),
        Message("user", (ToolResult("call/1", (Text("Sun."),), is_error=True),)),
    )
    request = replace(QUESTION, messages=messages, tools=(LOOK,))
    answer = await whole(await provider_at(upstream), request)
    assert answer.text == 'The tool look answered: "Sun."'


@EVERY
@pytest.mark.parametrize("mode", ["required", "named"])
async def test_a_call_can_be_demanded(provider_at, upstream, mode):
    choice = ToolChoice(mode, "look" if mode == "named" else "")
    request = replace(QUESTION, tools=(LOOK,), tool_choice=choice)
    answer = await whole(await provider_at(upstream), request)
    assert answer.finish_reason == "tool_calls"


@EVERY
async def test_a_call_can_be_forbidden(provider_at, upstream):
    request = asking("call", tools=(LOOK,), tool_choice=ToolChoice("none"))
    answer = await whole(await provider_at(upstream), request)
    assert answer.text == 'The sandbox read: "call"'


@EVERY
@EITHER_WAY
async def test_images(provider_at, upstream, call):
    parts = (Text("What is it?"), Media("image", "image/png", data=PIXEL))
    request = replace(QUESTION, messages=(Message("user", parts),))
    answer = await call(await provider_at(upstream), request)
    assert "It saw 1 image (image/png)." in answer.text


@among(*GEMINIS, CLAUDE, NOVA)
async def test_documents(provider_at, upstream):
    parts = (
        Text("Read these."),
        Media("document", "application/pdf", data=PIXEL, name="a_b.pdf"),
        Media("document", "application/pdf", data=PIXEL, name="a_b.pdf"),
    )
    request = replace(QUESTION, messages=(Message("user", parts),))
    answer = await whole(await provider_at(upstream), request)
    assert "It saw 2 documents (application/pdf)." in answer.text


@among(GEMINI_3, CLAUDE, NOVA)
async def test_an_image_as_the_result_of_a_tool(provider_at, upstream):
    provider = await provider_at(upstream)
    request = asking("look", tools=(LOOK,))
    answer = await whole(provider, request)
    content = (Text("Here."), Media("image", "image/png", data=PIXEL))
    request = go_on(request, answer, ToolResult(answer.parts[0].id, content))
    answer = await whole(provider, request)
    assert "It saw 1 image (image/png)." in answer.text


@EVERY
@EITHER_WAY
async def test_schemas(provider_at, upstream, call):
    request = asking("Which? Oslo!", response_format=ResponseFormat(SCHEMA))
    answer = await call(await provider_at(upstream), request)
    assert json.loads(answer.text) == {"city": "Oslo"}


@among(*GEMINIS, *AZURES)
async def test_any_json_object(provider_at, upstream):
    request = asking("Some JSON, please.", response_format=ResponseFormat())
    answer = await whole(await provider_at(upstream), request)
    assert json.loads(answer.text).keys() == {"answer"}


@THINKING
@EITHER_WAY
async def test_thoughts_and_what_follows_them(provider_at, upstream, call):
    provider = await provider_at(upstream)
    reasoning = Reasoning(effort="low", visible=True)
    request = asking("Hello there", reasoning=reasoning, tools=(LOOK,))
    answer = await call(provider, request)
    thoughts = [part for part in answer.parts if isinstance(part, Thinking)]
    assert "".join(part.text for part in thoughts).startswith("The user wrote 2 words")
    assert answer.text == 'The sandbox read: "Hello there"'
    assert answer.usage.output_tokens == 16

    # The thoughts are taken back, also with calls.
    request = go_on(request, answer, Text("Now look."))
    answer = await call(provider, request)
    result = ToolResult(answer.parts[-1].id, (Text("Fog."),))
    answer = await call(provider, go_on(request, answer, result))
    assert answer.text == 'The tool look answered: "Fog."'


@THINKING
@EITHER_WAY
async def test_thoughts_can_be_kept_back(provider_at, upstream, call):
    request = replace(QUESTION, reasoning=Reasoning(effort="low", visible=False))
    answer = await call(await provider_at(upstream), request)
    shown = [part.text for part in answer.parts if isinstance(part, Thinking)]
    assert "".join(shown) == ""
    assert answer.usage.output_tokens == 16


@EITHER_WAY
async def test_encrypted_thoughts_are_taken_back(provider_at, call):
    provider = await provider_at(CLAUDE, "redacted-thinking")
    answer = await call(provider, QUESTION)
    assert answer.parts[0] == Thinking(encrypted=answer.parts[0].encrypted)
    request = go_on(QUESTION, answer, Text("And now?"))
    assert (await call(provider, request)).text == 'The sandbox read: "And now?"'


@pytest.mark.parametrize(
    ("upstream", "signature"),
    [(GEMINI_2, "c2ln"), (GEMINI_3, "c2ln"), (CLAUDE, "gemini:c2ln")],
)
async def test_thoughts_of_others_do_no_harm(provider_at, upstream, signature):
    foreign = Message("assistant", (Thinking("Hm.", signature), Text("Yes.")))
    messages = (*QUESTION.messages, foreign, said("user", "And now?"))
    request = replace(QUESTION, messages=messages)
    answer = await whole(await provider_at(upstream), request)
    assert answer.text == 'The sandbox read: "And now?"'


@among(*GEMINIS, *AZURES)
@EITHER_WAY
async def test_log_probabilities(provider_at, upstream, call):
    answer = await call(await provider_at(upstream), replace(QUESTION, logprobs=2))
    assert answer.logprobs is not None
    assert [each["token"].strip() for each in answer.logprobs] == answer.text.split()
    assert all(len(each["top_logprobs"]) == 2 for each in answer.logprobs)


async def test_what_is_cached_is_told(provider_at):
    parts = (Text("One two three", cache="5m"), Text("four"))
    request = replace(QUESTION, messages=(Message("user", parts),))
    usage = (await whole(await provider_at(CLAUDE), request)).usage
    assert (usage.input_tokens, usage.cached_tokens) == (4, 3)


@among(CLAUDE, NOVA)
async def test_requests_can_be_signed(make_factory, sandbox, monkeypatch, upstream):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    root = (await sandbox.start()).removesuffix("/v1")
    factory = make_factory(bedrock_base_url=root)
    provider = factory.get_provider("bedrock", f"{upstream.partition('/')[2]}.sandbox")
    assert (await streamed(provider, QUESTION)).finish_reason == "stop"
    headers = sandbox.app.state.requests[-1].headers
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 ")
