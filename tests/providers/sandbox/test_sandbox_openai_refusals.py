"""Requests that OpenAI refuses, and its words for it."""

import pytest

OPENAI = "/chat/completions"
HELLO = {"role": "user", "content": "Hello"}
LOOSE = {"type": "object", "properties": {"a": {"type": "string"}}}
CLOSED = LOOSE | {"additionalProperties": False}
STRICT = CLOSED | {"required": ["a"]}


def function(**more) -> list[dict]:
    return [{"type": "function", "function": {"name": "a", **more}}]


def user(*parts) -> dict:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def image(url: str) -> dict:
    return user({"type": "image_url", "image_url": {"url": url}})


def call(id_: str, name: str = "a") -> dict:
    function = {"name": name, "arguments": "{}"}
    return {"id": id_, "type": "function", "function": function}


def calling(*ids: str) -> dict:
    calls = [call(id_) for id_ in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(id_: str) -> dict:
    return {"role": "tool", "tool_call_id": id_, "content": "done"}


def chat(*messages) -> dict:
    return {"messages": [HELLO, *messages]}


def json_schema(**more) -> dict:
    return {"response_format": {"type": "json_schema", "json_schema": more}}


# What is sent, the parameter at fault, the code, and what the message says.
BY_OPENAI = {
    "unknown parameter": ({"top_k": 1}, None, None, "Unrecognized request argument "),
    "unknown in a message": (
        {"messages": [HELLO | {"cache_control": {}}]},
        "messages[0].cache_control",
        "unknown_parameter",
        "Unknown parameter: 'messages[0].cache_control'.",
    ),
    "unknown in a part": (
        user({"type": "text", "text": "x", "cache_control": {}}),
        "messages[0].content[0].cache_control",
        "unknown_parameter",
        "Unknown parameter",
    ),
    "unknown in a tool": (
        {"tools": function(input_schema={})},
        "tools[0].function.input_schema",
        "unknown_parameter",
        "Unknown parameter",
    ),
    "role": (
        {"messages": [{"role": "robot", "content": "x"}]},
        "messages[0].role",
        "invalid_value",
        "'system', 'developer', 'user', 'assistant', 'tool', 'function'",
    ),
    "no role": (
        {"messages": [{"content": "x"}]},
        "messages[0].role",
        "missing_required_parameter",
        "Missing required parameter: 'messages[0].role'.",
    ),
    "no content": (
        {"messages": [{"role": "user"}]},
        "messages[0].content",
        "missing_required_parameter",
        "Missing required parameter",
    ),
    "text as a part": (
        user("x"),
        "messages[0].content[0]",
        "invalid_type",
        "expected an object, but got a string instead.",
    ),
    "kind of part": (
        user({"type": "image"}),
        "messages[0].content[0].type",
        "invalid_value",
        "supported values are 'text', 'image_url', 'input_audio', 'file'",
    ),
    "part without text": (
        user({"type": "text"}),
        "messages[0].content[0].text",
        "missing_required_parameter",
        "Missing required parameter",
    ),
    "image from the system": (
        {"messages": [{"role": "system", "content": [{"type": "image_url"}]}]},
        "messages[0].content[0].type",
        "invalid_value",
        "supported values are 'text'",
    ),
    "address of an image": (
        image("file:///etc/passwd"),
        "messages[0].content[0].image_url.url",
        "invalid_value",
        "expected an http(s) URL",
    ),
    "format of an image": (
        image("data:image/tiff;base64,YWJj"),
        "messages[0].content[0].image_url.url",
        "invalid_image_format",
        "unsupported image",
    ),
    "bytes of an image": (
        image("data:image/png;base64,a*b"),
        "messages[0].content[0].image_url.url",
        "invalid_base64",
        "Invalid base64 image_url.",
    ),
    "silent answer": (
        chat({"role": "assistant", "content": None}, HELLO),
        "messages.[1].content",
        None,
        "expected a string, got null",
    ),
    "result without a call": (
        chat(result("1")),
        "messages.[1].role",
        None,
        "must be a response to a preceeding message with 'tool_calls'",
    ),
    "result of another call": (
        chat(calling("1"), result("2")),
        "messages.[2].role",
        None,
        "must be a response",
    ),
    "second result": (
        chat(calling("1"), result("1"), result("1")),
        "messages.[3].role",
        None,
        "must be a response",
    ),
    "call without a result": (
        chat(calling("1", "2"), result("2"), HELLO),
        "messages",
        None,
        "did not have response messages: 1",
    ),
    "last call": (chat(calling("1")), "messages", None, "did not have response"),
    "no calls": (
        chat({"role": "assistant", "tool_calls": []}),
        "messages[1].tool_calls",
        "empty_array",
        "empty array",
    ),
    "long id of a call": (
        chat(calling("x" * 41)),
        "messages[1].tool_calls[0].id",
        "string_above_max_length",
        "maximum length 40",
    ),
    "no tools": ({"tools": []}, "tools", "empty_array", "empty array"),
    "tool without a name": (
        {"tools": [{"type": "function", "function": {}}]},
        "tools[0].function.name",
        "missing_required_parameter",
        "Missing required parameter",
    ),
    "name of a tool": (
        {"tools": function(name="a b")},
        "tools[0].function.name",
        "invalid_value",
        "string does not match pattern",
    ),
    "kind of tool": (
        {"tools": [{"type": "web_search"}]},
        "tools[0].type",
        "invalid_value",
        "supported values are 'function', 'custom'",
    ),
    "schema of a tool": (
        {"tools": function(parameters={"type": "any"})},
        "tools[0].function.parameters",
        "invalid_function_parameters",
        "Invalid schema for function 'a'",
    ),
    "loose tool": (
        {"tools": function(parameters=LOOSE, strict=True)},
        "tools[0].function.parameters",
        "invalid_function_parameters",
        "In context=(), 'additionalProperties' is required",
    ),
    "choice without tools": (
        {"tool_choice": "auto"},
        "tool_choice",
        None,
        "only allowed when 'tools' are specified",
    ),
    "unknown choice": (
        {
            "tools": function(),
            "tool_choice": {"type": "function", "function": {"name": "b"}},
        },
        "tool_choice",
        None,
        "Tool choice 'b' not found",
    ),
    "kind of choice": (
        {"tools": function(), "tool_choice": "any"},
        "tool_choice.type",
        "invalid_value",
        "supported values are 'none', 'auto', 'required'",
    ),
    "parallel without tools": (
        {"parallel_tool_calls": True},
        "parallel_tool_calls",
        None,
        "'tools' is specified",
    ),
    "nameless schema": (
        json_schema(schema=STRICT),
        "response_format.json_schema.name",
        "missing_required_parameter",
        "Missing required parameter",
    ),
    "kind of format": (
        {"response_format": {"type": "xml"}},
        "response_format.type",
        "invalid_value",
        "supported values are 'text', 'json_object', 'json_schema'",
    ),
    "no schema": (
        json_schema(name="a", schema={"required": "a"}),
        "response_format",
        None,
        "Invalid schema for response_format 'a'",
    ),
    "open schema": (
        json_schema(name="a", schema=LOOSE, strict=True),
        "response_format",
        None,
        "'additionalProperties' is required to be supplied and to be false",
    ),
    "optional property": (
        json_schema(name="a", schema=CLOSED, strict=True),
        "response_format",
        None,
        "Missing 'a'.",
    ),
    "open inner schema": (
        json_schema(
            name="a", schema=STRICT | {"properties": {"a": LOOSE}}, strict=True
        ),
        "response_format",
        None,
        "In context=('properties', 'a'), 'additionalProperties'",
    ),
    "list as a strict schema": (
        json_schema(name="a", schema={"type": "array"}, strict=True),
        "response_format",
        None,
        "got 'type: array'",
    ),
    "JSON without the word": (
        {"response_format": {"type": "json_object"}},
        "messages",
        None,
        "must contain the word 'json'",
    ),
    "both limits": (
        {"max_completion_tokens": 5},
        "max_tokens",
        "invalid_parameter_combination",
        "at the same time is not supported",
    ),
    "alternatives without logprobs": (
        {"top_logprobs": 2},
        "top_logprobs",
        None,
        "only allowed when 'logprobs' is enabled",
    ),
    "too many alternatives": (
        {"logprobs": True, "top_logprobs": 21},
        "top_logprobs",
        "integer_above_max_value",
        "Expected a value <= 20",
    ),
    "no choices": ({"n": 0}, "n", "integer_below_min_value", "value >= 1"),
    "temperature": (
        {"temperature": 2.5},
        "temperature",
        "decimal_above_max_value",
        "Expected a value <= 2",
    ),
    "too many stops": ({"stop": list("abcde")}, "stop", "array_above_max_length", "5"),
    "type": (
        {"seed": "x"},
        "seed",
        "invalid_type",
        "expected an integer, but got a string instead.",
    ),
    "effort": ({"reasoning_effort": "huge"}, "reasoning_effort", "invalid_value", ""),
}


@pytest.mark.parametrize("name", BY_OPENAI)
async def test_openai_refuses(ask, name):
    changes, param, code, words = BY_OPENAI[name]
    response = await ask(OPENAI, **changes)
    error = response.json()["error"]
    assert response.status_code == 400
    assert error["type"] == "invalid_request_error"
    assert (error["param"], error["code"]) == (param, code)
    assert words in error["message"]


TAKEN = {
    "prediction": {"prediction": {"type": "content", "content": "x"}},
    "developer": {"messages": [{"role": "developer", "content": "x"}]},
    "results in any order": chat(calling("1", "2"), result("2"), result("1"), HELLO),
    "answer as it came": chat(
        {
            "role": "assistant",
            "content": "x",
            "refusal": None,
            "annotations": [],
            "audio": None,
            "function_call": None,
            "tool_calls": None,
        },
        HELLO,
    ),
    "strict schema": json_schema(name="a", schema=STRICT, strict=True),
    "loose schema": json_schema(name="a", schema=LOOSE),
}


@pytest.mark.parametrize("name", TAKEN)
async def test_takes_what_the_vendor_takes(ask, name):
    response = await ask(OPENAI, **TAKEN[name])
    assert response.status_code == 200, response.text
