"""Conversations that Anthropic's own client has with the sandbox."""

import base64
import json
from collections.abc import AsyncIterator

import anthropic
import pytest
from anthropic.types import Usage

PNG = base64.b64encode(b"pixels").decode()
SCHEMA = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Rome"]}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
WEATHER = {"name": "weather", "input_schema": SCHEMA}
TIME = {"name": "time_in", "input_schema": {"type": "object"}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
THINKING = {"type": "enabled", "budget_tokens": 1024}
THOUGHT = "The user wrote 1 words, so a short answer will do."


@pytest.fixture
async def sdk(sandbox) -> AsyncIterator[anthropic.AsyncAnthropic]:
    url = (await sandbox.start()).removesuffix("/v1")
    async with anthropic.AsyncAnthropic(
        api_key="any", base_url=url, max_retries=0
    ) as sdk:
        yield sdk


@pytest.fixture
def send(sdk):
    """Sends messages, or one of the user, and gives the answer."""

    async def send(content: object, model: str = "sandbox", **more):
        return await sdk.messages.create(
            **{
                "model": model,
                "max_tokens": 2000,
                "messages": as_messages(content),
                **more,
            }
        )

    return send


def as_messages(content: object) -> list[dict]:
    if isinstance(content, list) and "role" in content[0]:
        return content
    return [{"role": "user", "content": content}]


def tool_results(answer, content: object = "12 degrees") -> dict:
    blocks = [
        {"type": "tool_result", "tool_use_id": block.id, "content": content}
        for block in answer.content
        if block.type == "tool_use"
    ]
    return {"role": "user", "content": blocks}


async def test_calls_the_tool_that_the_user_names(send):
    answer = await send("The weather in Rome for 3 days", tools=[TIME, WEATHER])
    [block] = answer.content
    assert (block.type, block.name) == ("tool_use", "weather")
    assert block.input == {"city": "Rome", "days": 3}
    assert block.caller.type == "direct"
    assert answer.stop_reason == "tool_use"


@pytest.mark.parametrize(
    ("text", "choice", "names"),
    [
        ("Hello", {"type": "auto"}, []),
        ("weather", {"type": "none"}, []),
        ("Hello", {"type": "any"}, ["time_in"]),
        ("Hello", {"type": "tool", "name": "weather"}, ["weather"]),
        ("Both in parallel", {"type": "auto"}, ["time_in", "weather"]),
        (
            "Both in parallel",
            {"type": "auto", "disable_parallel_tool_use": True},
            ["time_in"],
        ),
        ("web_search", {"type": "auto"}, []),
    ],
)
async def test_chooses_tools(send, text, choice, names):
    answer = await send(text, tools=[SEARCH, TIME, WEATHER], tool_choice=choice)
    assert [b.name for b in answer.content if b.type == "tool_use"] == names


@pytest.mark.parametrize("thinking", [THINKING, {"type": "adaptive"}, None])
async def test_reads_the_results_of_its_calls(send, thinking):
    more = {"tools": [WEATHER], **({"thinking": thinking} if thinking else {})}
    answer = await send("weather in parallel", **more)
    history = [
        {"role": "user", "content": "weather in parallel"},
        {"role": "assistant", "content": answer.content},
        tool_results(answer),
        {"role": "user", "content": "And now?"},
    ]
    last = await send(history, **more)
    said = 'The tool weather answered: "12 degrees"'
    assert last.content[-1].text == f"{said} {said}"
    assert last.stop_reason == "end_turn"


async def test_sees_what_comes_with_the_text(send):
    image = {"type": "base64", "media_type": "image/png", "data": PNG}
    plain = {"type": "text", "media_type": "text/plain", "data": "three plain words"}
    answer = await send(
        [
            {"type": "image", "source": image},
            {"type": "image", "source": {"type": "url", "url": "https://a.example/b"}},
            {"type": "document", "source": plain},
            {"type": "text", "text": "Look"},
        ]
    )
    assert answer.content[0].text == (
        'The sandbox read: "Look" It saw 2 images (image/png, unknown type) and '
        "1 document (text/plain)."
    )
    assert answer.usage.input_tokens == 4


@pytest.mark.parametrize(
    ("thinking", "thoughts"),
    [
        (THINKING, [THOUGHT]),
        ({"type": "adaptive"}, [THOUGHT]),
        ({"type": "adaptive", "display": "omitted"}, [""]),
        ({"type": "disabled"}, []),
        ({"type": "between_tools"}, []),
    ],
)
async def test_thinks_if_it_is_asked_to(send, thinking, thoughts):
    answer = await send("Hello", thinking=thinking)
    *before, text = answer.content
    assert [block.thinking for block in before] == thoughts
    assert all(block.signature for block in before)
    thought = answer.usage.output_tokens_details.thinking_tokens
    assert thought == (len(THOUGHT.split()) if thoughts else 0)
    assert answer.usage.output_tokens == thought + len(text.text.split())


@pytest.mark.parametrize(
    ("model", "kind"),
    [("reasoning", "thinking"), ("redacted-thinking", "redacted_thinking")],
)
async def test_knows_its_thoughts_again(send, model, kind):
    answer = await send("Hello", model)
    assert [block.type for block in answer.content] == [kind, "text"]
    history = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": answer.content},
        {"role": "user", "content": "Again"},
    ]
    assert (await send(history)).content[0].text == 'The sandbox read: "Again"'


async def test_stops_before_a_stop_sequence(send):
    answer = await send("Hello", stop_sequences=["zebra", "read"])
    assert answer.content[0].text == "The sandbox "
    assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", "read")


@pytest.mark.parametrize(
    ("begun", "rest"),
    [
        ("The sandbox", ' read: "Hello"'),
        ("Well,", ' The sandbox read: "Hello"'),
    ],
)
async def test_goes_on_from_a_begun_answer(send, begun, rest):
    answer = await send(
        [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": begun},
        ]
    )
    assert answer.content[0].text == rest


async def test_messages_of_one_role_are_one_turn(send):
    answer = await send(
        [{"role": "user", "content": "Hello"}, {"role": "user", "content": "there"}]
    )
    assert answer.content[0].text == 'The sandbox read: "Hello there"'


async def test_obeys_a_schema(send):
    output = {"format": {"type": "json_schema", "schema": SCHEMA}}
    answer = await send("Paris, 2 days", output_config=output)
    assert json.loads(answer.content[0].text) == {"city": "Paris", "days": 2}


async def test_usage_is_complete_and_tells_of_the_cache(send):
    cached = {
        "type": "text",
        "text": "Be a poet",
        "cache_control": {"type": "ephemeral"},
    }
    answer = await send("Hello there", system=[cached])
    assert answer.usage.model_fields_set == set(Usage.model_fields)
    assert answer.usage.input_tokens == 2
    assert answer.usage.cache_read_input_tokens == 3
    assert answer.usage.cache_creation_input_tokens == 0


async def test_answers_have_the_fields_of_the_vendor(send):
    answer = await send("Hello")
    refusal = await send("Hello", "refusal")
    assert {"stop_details", "container"} <= answer.model_fields_set
    assert answer.stop_details is None
    assert answer.content[0].citations == []
    assert refusal.stop_details.type == "refusal"


@pytest.mark.parametrize(
    ("model", "text", "more"),
    [
        ("sandbox", "Hello", {"thinking": THINKING, "stop_sequences": ["read"]}),
        ("sandbox", "weather in parallel", {"tools": [WEATHER], "thinking": THINKING}),
        ("redacted-thinking", "Hello", {}),
        ("refusal", "Hello", {}),
        ("fault-empty-content", "weather", {"tools": [WEATHER]}),
    ],
)
async def test_a_stream_says_the_same(sdk, send, model, text, more):
    plain = await send(text, model, **more)
    async with sdk.messages.stream(
        model=model, max_tokens=2000, messages=as_messages(text), **more
    ) as stream:
        streamed = await stream.get_final_message()
    assert said(streamed) == said(plain)


def said(answer) -> dict:
    kept = {"content", "stop_reason", "stop_sequence", "stop_details", "usage"}
    said = answer.model_dump(include=kept)
    for block in said["content"]:
        # Ids of calls are made from the request.
        block.pop("id", None)
    return said


async def test_echoes_the_request(send):
    answer = await send("Hello", "echo-request", max_tokens=1)
    assert json.loads(answer.content[0].text) == {
        "model": "echo-request",
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 1,
    }


async def test_lists_models_in_the_vendors_form(sdk):
    models = await sdk.models.list()
    assert {model.lifecycle for model in models.data} == {"active"}
