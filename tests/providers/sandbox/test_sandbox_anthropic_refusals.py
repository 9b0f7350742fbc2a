"""Requests that Anthropic refuses, and its words for it."""

import pytest

ANTHROPIC = "/messages"
HELLO = {"role": "user", "content": "Hello"}
LOOSE = {"type": "object", "properties": {"a": {"type": "string"}}}


def chat(*messages) -> dict:
    return {"messages": [HELLO, *messages]}


def blocks(*content, role: str = "user") -> dict:
    return {"role": role, "content": list(content)}


def source(**source) -> dict:
    return {"messages": [blocks({"type": "image", "source": source})]}


def using(*ids: str) -> dict:
    uses = [{"type": "tool_use", "id": id_, "name": "a", "input": {}} for id_ in ids]
    return blocks(*uses, role="assistant")


def answering(id_: str) -> dict:
    return {"type": "tool_result", "tool_use_id": id_, "content": "done"}


def tool(**more) -> dict:
    return {"tools": [{"name": "a", "input_schema": {"type": "object"}, **more}]}


def thinking(**more) -> dict:
    enabled = {"type": "enabled", "budget_tokens": 1024}
    return {"max_tokens": 2000, "thinking": enabled, **more}


TEXT = {"type": "text", "text": "x"}
THOUGHT = {"type": "thinking", "thinking": "I think", "signature": "forged"}
CACHED = TEXT | {"cache_control": {"type": "ephemeral"}}

# What is sent, and how the message begins.
BY_ANTHROPIC = {
    "unknown parameter": ({"n": 2}, "n: Extra inputs are not permitted"),
    "unknown in a block": (
        {"messages": [blocks(TEXT | {"refusal": "x"})]},
        "messages.0.content.0.text.refusal: Extra inputs are not permitted",
    ),
    "unknown in a message": (
        {"messages": [HELLO | {"name": "Ada"}]},
        "messages.0.name: Extra inputs are not permitted",
    ),
    "system as a role": (
        {"messages": [{"role": "system", "content": "x"}, HELLO]},
        'messages.0.role: Unexpected role "system".',
    ),
    "kind of block": (
        {"messages": [blocks({"type": "image_url"})]},
        "messages.0.content.0: Input tag 'image_url' found using 'type' does not match",
    ),
    "empty text": (
        {"messages": [{"role": "user", "content": ""}]},
        "messages: text content blocks must be non-empty",
    ),
    "blank text": (
        {"messages": [blocks(TEXT | {"text": " "})]},
        "messages: text content blocks must contain non-whitespace text",
    ),
    "empty system": (
        {"system": [TEXT | {"text": ""}]},
        "system: text content blocks must be non-empty",
    ),
    "empty message": (
        {"messages": [blocks()]},
        "messages.0: all messages must have non-empty content",
    ),
    "space at the end": (
        {"messages": [HELLO, {"role": "assistant", "content": "So "}]},
        "messages: final assistant content cannot end with trailing whitespace",
    ),
    "bytes of an image": (
        source(type="base64", media_type="image/png", data="a*b"),
        "messages.0.content.0.image.source.base64.data: invalid base64 data",
    ),
    "format of an image": (
        source(type="base64", media_type="image/tiff", data="YWJj"),
        "messages.0.content.0.image.source.base64.media_type: Input should be",
    ),
    "address of an image": (
        source(type="url", url="data:image/png;base64,YWJj"),
        "messages.0.content.0.image.source.url.url: Only HTTP(S) URLs are supported.",
    ),
    "image from the assistant": (
        {
            "messages": [
                blocks(
                    {
                        "type": "image",
                        "source": {"type": "url", "url": "https://a.example"},
                    },
                    role="assistant",
                )
            ]
        },
        "messages.0.content.0: `image` blocks can only be in `user` messages",
    ),
    "call by the user": (
        {"messages": [blocks(*using("1")["content"])]},
        "messages.0.content.0: `tool_use` blocks can only be in `assistant` messages",
    ),
    "result without a call": (
        chat(blocks(answering("1"))),
        "messages.0: unexpected `tool_use_id` found in `tool_result` blocks: 1.",
    ),
    "result of an earlier call": (
        chat(using("1"), blocks(answering("1")), using("2"), blocks(answering("1"))),
        "messages.3: `tool_use` ids were found without `tool_result` blocks",
    ),
    "result besides the calls": (
        chat(using("1"), blocks(answering("1"), answering("2"))),
        "messages.2: unexpected `tool_use_id` found in `tool_result` blocks: 2.",
    ),
    "call without a result": (
        chat(using("1", "2"), blocks(answering("1"))),
        "messages.1: `tool_use` ids were found without `tool_result` blocks "
        "immediately after: 2.",
    ),
    "text before the result": (
        chat(using("1"), blocks(TEXT, answering("1"))),
        "messages.1: `tool_use` ids were found without",
    ),
    "last call": (chat(using("1")), "messages.1: `tool_use` ids were found without"),
    "forged thought": (
        chat(blocks(THOUGHT, TEXT, role="assistant"), HELLO),
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    "forged redaction": (
        chat(
            blocks({"type": "redacted_thinking", "data": "x"}, role="assistant"), HELLO
        ),
        "messages.1.content.0: Invalid `data` in `redacted_thinking` block",
    ),
    "nameless tool": (
        {"tools": [{"input_schema": {"type": "object"}}]},
        "tools.0.custom.name: Field required",
    ),
    "name of a tool": (
        tool(name="a b"),
        "tools.0.custom.name: String should match pattern",
    ),
    "tool of another vendor": (
        tool(parameters={}),
        "tools.0.custom.parameters: Extra inputs are not permitted",
    ),
    "kind of tool": (
        {"tools": [{"type": "function", "function": {"name": "a"}}]},
        "tools.0.vendor.type: String should match pattern",
    ),
    "schema of a tool": (
        tool(input_schema={"type": "object", "required": "a"}),
        "tools.0.custom.input_schema: JSON schema is invalid.",
    ),
    "type of a schema": (
        tool(input_schema={"type": "array"}),
        "tools.0.custom.input_schema",
    ),
    "loose tool": (
        tool(input_schema=LOOSE, strict=True),
        "tools.0.custom.input_schema: In context=(), 'additionalProperties'",
    ),
    "one name twice": (
        {"tools": tool()["tools"] * 2},
        "tools: Tool names must be unique.",
    ),
    "choice without tools": (
        {"tool_choice": {"type": "auto"}},
        "tool_choice: tool_choice may only be specified while providing tools",
    ),
    "unknown choice": (
        tool() | {"tool_choice": {"type": "tool", "name": "b"}},
        "tool_choice: Tool 'b' not found in provided tools",
    ),
    "choice of another vendor": (
        tool() | {"tool_choice": "auto"},
        "tool_choice: Input should be",
    ),
    "open schema": (
        {"output_config": {"format": {"type": "json_schema", "schema": LOOSE}}},
        "output_config.format.schema: In context=(), 'additionalProperties'",
    ),
    "small budget": (
        thinking(thinking={"type": "enabled", "budget_tokens": 1023}),
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
    ),
    "large budget": (
        thinking(max_tokens=1024),
        "`max_tokens` must be greater than `thinking.budget_tokens`.",
    ),
    "temperature": (thinking(temperature=0.5), "`temperature` may only be set to 1"),
    "top_p": (thinking(top_p=0.5), "`top_p` must be greater than or equal to 0.95"),
    "top_k": (thinking(top_k=5), "`top_k` must be unset when thinking is enabled."),
    "forced call": (
        thinking(**tool(), tool_choice={"type": "any"}),
        "Thinking may not be enabled when tool_choice forces tool use.",
    ),
    "thoughtless call": (
        thinking(**chat(using("1"), blocks(answering("1")))),
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but "
        "found `tool_use`.",
    ),
    "blank stop": ({"stop_sequences": [" "]}, "stop_sequences: each stop sequence"),
    "five breakpoints": (
        {"messages": [blocks(*[CACHED] * 5)]},
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
}


async def test_threads_are_refused_before_their_messages_are_looked_at(ask):
    thread = {"type": "continue", "previous_message_id": "msg_1"}
    only_new = {"messages": [blocks(answering("1"))], "thread": thread}
    response = await ask(ANTHROPIC, **only_new)
    assert response.status_code == 400
    details = response.json()["error"]["details"]
    assert details == {"error_code": "thread_unsupported_request"}


@pytest.mark.parametrize("name", BY_ANTHROPIC)
async def test_anthropic_refuses(ask, name):
    changes, words = BY_ANTHROPIC[name]
    response = await ask(ANTHROPIC, **changes)
    error = response.json()["error"]
    assert response.status_code == 400
    assert error["type"] == "invalid_request_error"
    assert error["message"].startswith(words)


TAKEN = {
    "beta": {"context_management": {"edits": []}},
    "temperature 1 with thinking": thinking(temperature=1, top_p=0.99),
    "results in two messages": chat(
        using("1", "2"), blocks(answering("1")), blocks(answering("2"), TEXT)
    ),
    "empty final answer": chat(blocks(role="assistant")),
    "four breakpoints": {"messages": [blocks(*[CACHED] * 4)]},
    "thoughtless call with adaptive thinking": {"thinking": {"type": "adaptive"}}
    | chat(using("1"), blocks(answering("1"))),
}


@pytest.mark.parametrize("name", TAKEN)
async def test_takes_what_the_vendor_takes(ask, name):
    response = await ask(ANTHROPIC, **TAKEN[name])
    assert response.status_code == 200, response.text
