"""What callers of /v1/messages may say, and how they hear what is wrong with it."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire import strategies as canonical

from llm_proxy.errors import InvalidInputError, UnsupportedFeatureError
from llm_proxy.types import (
    ChatRequest,
    Media,
    Message,
    Reasoning,
    ResponseFormat,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    said,
)
from llm_proxy.wire.anthropic_messages import AnthropicSurface

SURFACE = AnthropicSurface()
HELLO = {"role": "user", "content": "Hello"}
IMAGE = {"type": "image", "source": {"type": "url", "url": "https://a/b"}}


def decode(**fields):
    return SURFACE.decode_request({"messages": [HELLO], **fields})


def block(value, role="user"):
    [message] = decode(messages=[{"role": role, "content": [value]}]).messages
    [part] = message.content
    return part


def complaint(call, *arguments, **fields):
    with pytest.raises(InvalidInputError) as caught:
        call(*arguments, **fields)
    [detail] = caught.value.details
    return f"{detail['field']}: {detail['problem']}"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "messages: Field required"),
        ({"messages": None}, "messages: Field required"),
        ({"messages": "Hi"}, "messages: Input should be a valid array"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"messages": [HELLO]}, "max_tokens: Field required"),
        (
            {"messages": [HELLO], "max_tokens": "9"},
            "max_tokens: Input should be a valid integer",
        ),
        (
            {"messages": [HELLO], "max_tokens": True},
            "max_tokens: Input should be a valid integer",
        ),
        (
            {"messages": [HELLO], "max_tokens": -1},
            "max_tokens: Input should be greater than or equal to 0",
        ),
        (
            {"messages": [HELLO], "max_tokens": 9, "stream": "yes"},
            "stream: Input should be a valid boolean",
        ),
    ],
)
def test_what_no_upstream_could_answer_is_refused_in_the_vendors_words(
    fields, expected
):
    assert complaint(SURFACE.check_request, fields) == expected


def test_the_least_request_is_fine():
    SURFACE.check_request({"messages": [HELLO], "max_tokens": 0, "stream": False})


def test_a_request_of_claude_code_is_read():
    request = decode(
        model="claude-x",
        max_tokens=32000,
        stream=True,
        system=[
            {"type": "text", "text": "a"},
            {
                "type": "text",
                "text": "b",
                "cache_control": {"type": "ephemeral", "ttl": "1h", "scope": "global"},
            },
        ],
        messages=[
            HELLO,
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "t", "signature": "s"},
                    {"type": "text", "text": "Look", "citations": None},
                    {"type": "tool_use", "id": "1", "name": "f", "input": {"x": [1]}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "reminder"},
                    {
                        "type": "tool_result",
                        "tool_use_id": "1",
                        "content": [{"type": "text", "text": "r"}, IMAGE],
                        "is_error": True,
                    },
                ],
            },
            {"role": "system", "content": "c"},
        ],
        tools=[
            {
                "type": "custom",
                "name": "f",
                "description": "d",
                "input_schema": {"type": "object"},
                "eager_input_streaming": True,
            }
        ],
        thinking={"type": "adaptive", "display": "summarized"},
        output_config={"effort": "high"},
        context_management={"edits": []},
        metadata={"user_id": "u"},
        temperature=1,
    )
    assert request == ChatRequest(
        messages=(
            Message("system", (Text("a"), Text("b", "1h"))),
            said("user", "Hello"),
            Message(
                "assistant",
                (Thinking("t", "s"), Text("Look"), ToolCall("1", "f", '{"x":[1]}')),
            ),
            Message(
                "user",
                (
                    ToolResult(
                        "1", (Text("r"), Media("image", url="https://a/b")), True
                    ),
                    Text("reminder"),
                ),
            ),
            said("system", "c"),
        ),
        tools=(Tool("f", "d", {"type": "object"}),),
        reasoning=Reasoning("high", visible=True),
        max_tokens=32000,
        temperature=1.0,
        user="u",
        unknown=("context_management",),
    )


def test_both_places_of_a_schema_are_read():
    schema = {"type": "json_schema", "schema": {"type": "object"}}
    expected = ResponseFormat({"type": "object"}, strict=None)
    assert decode(output_config={"format": schema}).response_format == expected
    assert decode(output_format=schema).response_format == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"thinking": {"type": "between_tools"}}, Reasoning("none")),
        ({"thinking": {"type": "disabled"}}, Reasoning("none")),
        ({"output_config": {"effort": "low"}}, Reasoning("low")),
        ({"thinking": None, "output_config": None}, None),
    ],
)
def test_other_ways_to_speak_of_thinking_are_read(fields, expected):
    assert decode(**fields).reasoning == expected


def test_thoughts_without_a_signature_are_thoughts_too():
    assert block({"type": "thinking", "thinking": "t"}, "assistant") == Thinking("t")


def test_a_text_document_is_a_document():
    source = {"type": "text", "media_type": "text/plain", "data": "ä"}
    assert block({"type": "document", "source": source, "title": "n"}) == Media(
        "document", "text/plain", data="w6Q=", name="n"
    )


@pytest.mark.parametrize("content", [None, "", []])
def test_a_result_may_be_empty(content):
    result = {"type": "tool_result", "tool_use_id": "1", "content": content}
    assert block(result) == ToolResult("1", ())


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"type": "search_result", "source": "s"}, "type"),
        ({"type": "server_tool_use", "id": "1"}, "type"),
        (
            {
                "type": "document",
                "source": {"type": "file", "file_id": "f"},
                "citations": {"enabled": True},
            },
            "citations",
        ),
        (
            {
                "type": "document",
                "source": {"type": "file", "file_id": "f"},
                "context": "c",
            },
            "context",
        ),
        (
            {"type": "document", "source": {"type": "content", "content": []}},
            "source.type",
        ),
        (
            {
                "type": "tool_result",
                "tool_use_id": "1",
                "content": [{"type": "tool_reference", "tool_name": "f"}],
            },
            "content.0.type",
        ),
    ],
)
def test_content_for_the_vendors_own_models_is_refused(value, field):
    with pytest.raises(UnsupportedFeatureError) as caught:
        block(value)
    assert caught.value.details[0]["field"] == f"messages.0.content.0.{field}"


def test_the_refusal_names_the_type_and_no_prompt():
    with pytest.raises(UnsupportedFeatureError, match="of type search_result cannot"):
        block({"type": "search_result"})
    with pytest.raises(UnsupportedFeatureError, match="of type unknown cannot"):
        block({"type": "my secret: 123"})


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        (
            {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
            "tools.0.type",
        ),
        ({"mcp_servers": [{"url": "https://a"}]}, "mcp_servers"),
        ({"container": "c"}, "container"),
    ],
)
def test_features_of_the_vendors_own_servers_are_refused(fields, field):
    with pytest.raises(UnsupportedFeatureError) as caught:
        decode(**fields)
    assert caught.value.details[0]["field"] == field


@pytest.mark.parametrize("type_", ["create", "continue"])
def test_threads_are_refused_so_that_the_whole_conversation_is_sent(type_):
    with pytest.raises(UnsupportedFeatureError, match="full conversation") as caught:
        decode(thread={"type": type_})
    error = AnthropicSurface().encode_error(caught.value, "req_1").body["error"]
    assert error["details"] == {"error_code": "thread_unsupported_request"}


def test_unused_features_are_no_features():
    assert decode(mcp_servers=[], container=None, thread=None).unknown == ()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"messages": ["Hi"]}, "messages.0: Input should be an object"),
        ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
        ({"messages": [{"content": "a"}]}, "messages.0.role: Field required"),
        (
            {"messages": [{"role": "tool", "content": "a"}]},
            "messages.0.role: Input should be 'user', 'assistant' or 'system'",
        ),
        (
            {"messages": [{"role": "system"}]},
            "messages.0.content: Field required",
        ),
        (
            {"messages": [{"role": "user", "content": 5}]},
            "messages.0.content: Input should be a valid array",
        ),
        (
            {"messages": [{"role": "user", "content": ["a"]}]},
            "messages.0.content.0: Input should be an object",
        ),
        ({"system": 5}, "system: Input should be a valid array"),
        ({"system": [IMAGE]}, "system.0.type: Input should be 'text'"),
        ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
        (
            {"max_tokens": float("inf")},
            "max_tokens: Input should be a valid integer",
        ),
        ({"temperature": "1"}, "temperature: Input should be a valid number"),
        ({"temperature": True}, "temperature: Input should be a valid number"),
        (
            {"temperature": float("inf")},
            "temperature: Input should be between 0 and 1",
        ),
        ({"top_p": 10**5000}, "top_p: Input should be between 0 and 1"),
        ({"top_k": -1}, "top_k: Input should be greater than or equal to 0"),
        ({"stop_sequences": "a"}, "stop_sequences: Input should be a valid array"),
        (
            {"stop_sequences": ["a", 5]},
            "stop_sequences.1: Input should be a valid string",
        ),
        ({"metadata": "u"}, "metadata: Input should be an object"),
        (
            {"metadata": {"user_id": 5}},
            "metadata.user_id: Input should be a valid string",
        ),
        ({"tools": {}}, "tools: Input should be a valid array"),
        ({"tools": [{"name": "f"}]}, "tools.0.input_schema: Field required"),
        (
            {"tools": [{"name": "f", "input_schema": "any"}]},
            "tools.0.input_schema: Input should be an object",
        ),
        (
            {"tools": [{"name": "f", "input_schema": {"x": 2**70}}]},
            "tools.0.input_schema: Input should be JSON of common size",
        ),
        (
            {"tool_choice": {"type": "required"}},
            "tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'",
        ),
        ({"tool_choice": "auto"}, "tool_choice: Input should be an object"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name: Field required"),
        (
            {"thinking": {"type": "enabled"}},
            "thinking.budget_tokens: Field required",
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 1023}},
            "thinking.budget_tokens: Input should be greater than or equal to 1024",
        ),
        (
            {"thinking": {"type": "much"}},
            "thinking.type: Input should be enabled, adaptive or disabled",
        ),
        (
            {"output_config": {"effort": "huge"}},
            "output_config.effort: Input should be one of low, medium, high, xhigh, "
            "max",
        ),
        (
            {"output_config": {"format": {"type": "json_object"}}},
            "output_config.format.type: Input should be 'json_schema'",
        ),
        ({"output_format": "json"}, "output_format: Input should be an object"),
    ],
)
def test_a_wrong_field_is_named(fields, expected):
    assert complaint(decode, **fields) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({}, "type: Field required"),
        ({"type": 5}, "type: Input should be a valid string"),
        ({"type": "text"}, "text: Field required"),
        ({"type": "text", "text": "\ud800"}, "text: Input should be valid Unicode"),
        ({"type": "image"}, "source: Field required"),
        (
            {"type": "image", "source": {"type": "path"}},
            "source.type: Input should be 'base64', 'url' or 'file'",
        ),
        (
            {"type": "document", "source": {"type": "path"}},
            "source.type: Input should be 'base64', 'text', 'url' or 'file'",
        ),
        (
            {"type": "text", "text": "a", "cache_control": {"type": "forever"}},
            "cache_control.type: Input should be 'ephemeral'",
        ),
        (
            {
                "type": "text",
                "text": "a",
                "cache_control": {"type": "ephemeral", "ttl": "2h"},
            },
            "cache_control.ttl: Input should be '5m' or '1h'",
        ),
        (
            {"type": "tool_result", "tool_use_id": "1", "is_error": "no"},
            "is_error: Input should be a valid boolean",
        ),
    ],
)
def test_a_wrong_block_is_named(value, expected):
    assert complaint(block, value) == f"messages.0.content.0.{expected}"


@pytest.mark.parametrize(
    ("kind", "role", "where"),
    [("tool_use", "user", "assistant"), ("tool_result", "assistant", "user")],
)
def test_calls_and_results_have_their_turns(kind, role, where):
    assert complaint(block, {"type": kind}, role) == (
        f"messages.0.content.0: `{kind}` blocks can only be in `{where}` messages"
    )


def test_a_number_that_json_cannot_carry_on_is_named():
    value = {"type": "tool_use", "id": "1", "name": "f", "input": {"x": 10**40}}
    assert complaint(block, value, "assistant").startswith("messages.0.content.0.input")


KINDS = ["text", "image", "document", "thinking", "redacted_thinking", "tool_use"]
BLOCK_FIELDS = ["text", "source", "thinking", "data", "id", "name", "input", "content"]


@given(canonical.JSON_VALUES, st.sampled_from([*KINDS, "tool_result", "new"]))
def test_anything_else_is_a_mistake_that_is_named(value, kind):
    block = dict.fromkeys(BLOCK_FIELDS, value) | {"type": kind}
    source = {"type": "base64", "media_type": value, "data": value}
    content = [value, [block], [block | {"source": source}]]
    bodies = [
        *({"messages": [{"role": "assistant", "content": each}]} for each in content),
        *({name: value} for name in ("system", "tools", "thinking", "output_config")),
        {"messages": value, "system": [block]},
    ]
    for body in bodies:
        with suppress(InvalidInputError):
            SURFACE.decode_request(body)
