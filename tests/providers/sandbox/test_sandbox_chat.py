"""Conversations that OpenAI's own client has with the sandbox."""

import base64
import json
from collections.abc import AsyncIterator

import openai
import pytest

PNG = "data:image/png;base64," + base64.b64encode(b"pixels").decode()
PDF = "data:application/pdf;base64," + base64.b64encode(b"pages").decode()
SCHEMA = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Rome"]}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": SCHEMA, "strict": True},
}
TIME = {"type": "function", "function": {"name": "time_in"}}
SHELL = {"type": "custom", "custom": {"name": "shell"}}


@pytest.fixture
async def sdk(sandbox) -> AsyncIterator[openai.AsyncOpenAI]:
    url = await sandbox.start()
    async with openai.AsyncOpenAI(api_key="any", base_url=url, max_retries=0) as sdk:
        yield sdk


@pytest.fixture
def chat(sdk):
    """Asks a question in one message, and gives the completion."""

    async def chat(content: object, model: str = "sandbox", **more):
        messages = [{"role": "user", "content": content}]
        return await sdk.chat.completions.create(model=model, messages=messages, **more)

    return chat


def calls_in(completion) -> list[tuple[str, str]]:
    calls = completion.choices[0].message.tool_calls or ()
    return [(call.function.name, call.function.arguments) for call in calls]


def names_in(completion) -> list[str]:
    return [name for name, _ in calls_in(completion)]


async def test_calls_the_tool_that_the_user_names(chat):
    completion = await chat("The weather in Rome for 3 days", tools=[TIME, WEATHER])
    [(name, arguments)] = calls_in(completion)
    assert name == "weather"
    assert json.loads(arguments) == {"city": "Rome", "days": 3}
    assert completion.choices[0].finish_reason == "tool_calls"
    assert completion.choices[0].message.content is None


NAMED = {"type": "function", "function": {"name": "weather"}}
ALLOWED = {
    "type": "allowed_tools",
    "allowed_tools": {"mode": "required", "tools": [NAMED]},
}


@pytest.mark.parametrize(
    ("text", "more", "names"),
    [
        ("Hello", {}, []),
        ("A weatherman has time_inside", {}, []),
        ("Use a tool", {}, ["time_in"]),
        ("Please call", {}, ["time_in"]),
        ("time_in and WEATHER", {}, ["time_in", "weather"]),
        ("time_in and weather", {"parallel_tool_calls": False}, ["time_in"]),
        ("Both in parallel", {}, ["time_in", "weather"]),
        ("weather in parallel", {"tools": [WEATHER]}, ["weather", "weather"]),
        ("weather", {"tool_choice": "none"}, []),
        ("Hello", {"tool_choice": "required"}, ["time_in"]),
        ("Hello", {"tool_choice": NAMED}, ["weather"]),
        ("time_in", {"tool_choice": NAMED}, ["weather"]),
        ("Hello", {"tool_choice": ALLOWED}, ["weather"]),
        ("Hello", {"model": "parallel-tools"}, ["time_in", "weather"]),
        ("Hello", {"model": "tool-calls"}, ["time_in"]),
        ("weather", {"model": "refusal"}, []),
        ("weather", {"model": "length"}, []),
    ],
)
async def test_chooses_tools(chat, text, more, names):
    completion = await chat(text, **{"tools": [TIME, WEATHER], **more})
    assert names_in(completion) == names
    ids = [call.id for call in completion.choices[0].message.tool_calls or ()]
    assert len(set(ids)) == len(ids)


async def test_reads_the_results_of_its_calls(sdk, chat):
    question = {"role": "user", "content": "weather and time_in"}
    asked = await chat(question["content"], tools=[WEATHER, TIME])
    answer = asked.choices[0].message
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": f"result of {number}"}
        for number, call in enumerate(answer.tool_calls)
    ]
    completion = await sdk.chat.completions.create(
        model="sandbox", messages=[question, answer, *results], tools=[WEATHER, TIME]
    )
    assert completion.choices[0].message.content == (
        'The tool weather answered: "result of 0" '
        'The tool time_in answered: "result of 1"'
    )
    assert completion.choices[0].finish_reason == "stop"


async def test_custom_tools_take_text(chat):
    completion = await chat("Run shell", tools=[SHELL])
    [call] = completion.choices[0].message.tool_calls
    assert (call.type, call.custom.name, call.custom.input) == (
        "custom",
        "shell",
        "Run shell",
    )


async def test_sees_what_comes_with_the_text(chat):
    completion = await chat(
        [
            {"type": "text", "text": "Look"},
            {"type": "image_url", "image_url": {"url": PNG}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a"}},
            {"type": "input_audio", "input_audio": {"data": "YWJj", "format": "mp3"}},
            {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}},
        ]
    )
    assert completion.choices[0].message.content == (
        'The sandbox read: "Look" It saw 2 images (image/png, unknown type) and '
        "1 audio (audio/mpeg) and 1 document (application/pdf)."
    )


@pytest.mark.parametrize(
    ("effort", "model", "thinks", "content"),
    [
        (None, "sandbox", False, None),
        ("none", "sandbox", False, None),
        ("low", "sandbox", True, None),
        (None, "redacted-thinking", True, None),
        (None, "reasoning", True, "The user wrote 1 words, so a short answer will do."),
    ],
)
async def test_thinks_if_it_is_asked_to(chat, effort, model, thinks, content):
    completion = await chat("Hello", model, reasoning_effort=effort)
    usage, message = completion.usage, completion.choices[0].message
    thought = usage.completion_tokens_details.reasoning_tokens
    assert (thought > 0) is thinks
    assert usage.completion_tokens == thought + len(message.content.split())
    assert getattr(message, "reasoning_content", None) == content


async def test_thinking_counts_against_max_tokens(chat):
    completion = await chat("Hello", reasoning_effort="high", max_completion_tokens=5)
    assert completion.choices[0].finish_reason == "length"
    assert completion.choices[0].message.content == ""
    assert completion.usage.completion_tokens == 5


async def test_calls_fit_into_max_tokens(chat):
    completion = await chat("weather", tools=[WEATHER], max_completion_tokens=2)
    assert names_in(completion) == []
    assert completion.choices[0].finish_reason == "length"


@pytest.mark.parametrize("stop", ["read", ["zebra", "read", "sandbox read"]])
async def test_stops_before_a_stop_sequence(chat, stop):
    completion = await chat("Hello", stop=stop)
    expected = "The sandbox " if stop == "read" else "The "
    assert completion.choices[0].message.content == expected
    assert completion.choices[0].finish_reason == "stop"


async def test_gives_several_choices(chat):
    one, three = await chat("Hello"), await chat("Hello", n=3)
    assert [choice.index for choice in three.choices] == [0, 1, 2]
    assert {choice.message.content for choice in three.choices} == {
        one.choices[0].message.content
    }
    assert three.usage.completion_tokens == 3 * one.usage.completion_tokens


@pytest.mark.parametrize("top", [None, 0, 3])
async def test_reports_log_probabilities(chat, top):
    completion = await chat("Hello", logprobs=True, top_logprobs=top)
    [choice] = completion.choices
    tokens = choice.logprobs.content
    assert "".join(token.token for token in tokens) == choice.message.content
    assert bytes(tokens[0].bytes).decode() == tokens[0].token
    assert all(len(token.top_logprobs) == (top or 0) for token in tokens)
    assert all(token.logprob < 0 for token in tokens)


async def test_reports_none_unasked(chat):
    assert (await chat("Hello")).choices[0].logprobs is None


async def test_obeys_a_strict_schema(chat):
    json_schema = {"name": "trip", "schema": SCHEMA, "strict": True}
    completion = await chat(
        "Paris, 2 days",
        response_format={"type": "json_schema", "json_schema": json_schema},
    )
    assert json.loads(completion.choices[0].message.content) == {
        "city": "Paris",
        "days": 2,
    }


@pytest.mark.parametrize(
    ("model", "text", "more"),
    [
        ("sandbox", "Hello", {"n": 2, "logprobs": True, "top_logprobs": 1}),
        ("sandbox", "weather in parallel", {"tools": [WEATHER], "n": 2}),
        ("reasoning", "weather", {"tools": [WEATHER]}),
        ("reasoning", "Hello", {"stop": "Hello", "reasoning_effort": "low"}),
        ("refusal", "Hello", {"logprobs": True}),
        ("parallel-tools", "Hello", {"tools": [WEATHER, TIME]}),
    ],
)
async def test_a_stream_says_the_same(sdk, chat, model, text, more):
    plain = await chat(text, model, **more)
    async with sdk.chat.completions.stream(
        model=model,
        messages=[{"role": "user", "content": text}],
        stream_options={"include_usage": True},
        **more,
    ) as stream:
        streamed = await stream.get_final_completion()
    assert said(streamed) == said(plain)
    assert streamed.usage == plain.usage


def said(completion) -> list[tuple]:
    return [
        (
            choice.index,
            choice.finish_reason,
            choice.message.content or None,
            choice.message.refusal,
            getattr(choice.message, "reasoning_content", None),
            [
                (call.function.name, call.function.arguments)
                for call in choice.message.tool_calls or ()
            ],
            choice.logprobs and (choice.logprobs.content, choice.logprobs.refusal),
        )
        for choice in completion.choices
    ]


async def test_echoes_the_request(chat):
    completion = await chat("Hello", "echo-request", max_tokens=1, seed=7)
    assert json.loads(completion.choices[0].message.content) == {
        "model": "echo-request",
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 1,
        "seed": 7,
    }


@pytest.mark.parametrize("model", ["lenient", "reasoning"])
async def test_some_models_take_unknown_parameters(chat, model):
    await chat("Hello", model, extra_body={"top_k": 5, "min_p": 0.1})


async def test_lenient_is_strict_about_the_known_ones(chat):
    with pytest.raises(openai.BadRequestError) as caught:
        await chat("Hello", "lenient", extra_body={"top_k": 5, "temperature": 9})
    assert caught.value.status_code == 400
