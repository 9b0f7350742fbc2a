import orjson
import pytest
from hypothesis import given
from tests.wire import strategies as canonical

from llm_proxy.errors import InvalidInputError, UnsupportedFeatureError
from llm_proxy.types import (
    ChatRequest,
    ChatResponse,
    Media,
    Message,
    Reasoning,
    ResponseFormat,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
    said,
)
from llm_proxy.wire.openai_responses import OpenAIResponsesSurface
from llm_proxy.wire.surface import Asked

SURFACE = OpenAIResponsesSurface()
HELLO = {"model": "m", "input": "Hello"}
SCHEMA = {"type": "object", "properties": {}}
FUNCTION = {"type": "function", "name": "f", "parameters": SCHEMA}
CUSTOM = {"type": "custom", "name": "patch"}


def read(**fields):
    return SURFACE.decode_request({**HELLO, **fields})


def turns(*items):
    return read(input=list(items)).messages


def parts(*content):
    [message] = turns({"role": "user", "content": list(content)})
    return message.content


def field_at_fault(error):
    [detail] = error.value.details
    return detail["field"]


def test_a_text_is_what_the_user_says():
    assert read() == ChatRequest((said("user", "Hello"),))


def test_every_field_is_read():
    request = read(
        instructions="Be brief.",
        max_output_tokens=50,
        temperature=0.5,
        top_p=1,
        include=["reasoning.encrypted_content", "message.output_text.logprobs"],
        top_logprobs=2,
        user="u",
        service_tier="flex",
        parallel_tool_calls=False,
        reasoning={"effort": "low", "summary": "auto"},
        text={
            "verbosity": "high",
            "format": {"type": "json_schema", "name": "n", "schema": SCHEMA},
        },
    )
    assert request == ChatRequest(
        (said("system", "Be brief."), said("user", "Hello")),
        max_tokens=50,
        temperature=0.5,
        top_p=1,
        logprobs=2,
        user="u",
        service_tier="flex",
        parallel_tool_calls=False,
        reasoning=Reasoning("low", visible=True),
        response_format=ResponseFormat(SCHEMA, "n", strict=None),
        verbosity="high",
    )


def test_null_is_as_good_as_absent():
    fields = dict.fromkeys(
        (
            *("instructions", "max_output_tokens", "temperature", "include", "user"),
            *("text", "reasoning", "tools", "tool_choice", "previous_response_id"),
            *("parallel_tool_calls", "prompt", "truncation", "never_heard_of"),
        )
    )
    assert read(**fields) == read()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"safety_identifier": "s"}, {"user": "s"}),
        ({"safety_identifier": "s", "user": "u"}, {"user": "u"}),
        ({"top_logprobs": 5}, {}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": 0}),
        ({"reasoning": {}}, {}),
        (
            {"reasoning": {"generate_summary": "detailed"}},
            {"reasoning": Reasoning(visible=True)},
        ),
        ({"text": {"format": {"type": "text"}}}, {}),
        (
            {"text": {"format": {"type": "json_object"}}},
            {"response_format": ResponseFormat()},
        ),
        ({"truncation": "disabled"}, {}),
        ({"truncation": "auto"}, {"unknown": ("truncation",)}),
        ({"zoo": 1, "moderation": {}}, {"unknown": ("moderation", "zoo")}),
        (
            {
                "store": False,
                "metadata": {"a": "b"},
                "prompt_cache_key": "k",
                "stream": True,
                "stream_options": {"include_obfuscation": False},
                "background": False,
                "previous_response_id": "resp_1",
                "conversation": None,
            },
            {},
        ),
    ],
)
def test_fields_mean_what_the_vendor_says(fields, expected):
    assert read(**fields) == ChatRequest((said("user", "Hello"),), **expected)


def test_items_of_one_side_are_one_turn():
    assert turns(
        {"role": "user", "content": "a"},
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [
                {"type": "summary_text", "text": "t"},
                {"type": "summary_text", "text": "u"},
            ],
            "encrypted_content": "gAAA",
        },
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [
                {"type": "output_text", "text": "b", "annotations": []},
                {"type": "refusal", "refusal": "c"},
            ],
        },
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "c1",
            "name": "f",
            "arguments": "{}",
        },
        {
            "type": "custom_tool_call",
            "call_id": "c2",
            "name": "patch",
            "input": "free",
        },
        {"type": "function_call_output", "call_id": "c1", "output": "r"},
        {
            "type": "custom_tool_call_output",
            "call_id": "c2",
            "output": [{"type": "input_text", "text": "s"}],
        },
        {"role": "user", "content": [{"type": "input_text", "text": "d"}]},
        {"role": "user", "content": "e"},
        {"role": "developer", "content": "f"},
    ) == (
        said("user", "a"),
        Message(
            "assistant",
            (
                Thinking("t\n\nu", encrypted="openai:rs_1:gAAA"),
                Text("b"),
                Text("c"),
                ToolCall("c1", "f", "{}"),
                ToolCall("c2", "patch", "free", custom=True),
            ),
        ),
        Message(
            "user",
            (
                ToolResult("c1", (Text("r"),)),
                ToolResult("c2", (Text("s"),), custom=True),
                Text("d"),
            ),
        ),
        said("user", "e"),
        said("developer", "f"),
    )


def test_open_thoughts_stand_in_the_content():
    reasoning = {
        "type": "reasoning",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "t"}],
    }
    assert turns({"role": "user", "content": "a"}, reasoning)[1:] == (
        Message("assistant", (Thinking("t"),)),
    )


def test_a_reasoning_item_that_says_nothing_is_no_turn():
    nothing = {"type": "reasoning", "id": "rs_1", "summary": []}
    assert turns({"role": "user", "content": "a"}, nothing) == (said("user", "a"),)


@pytest.mark.parametrize(
    ("part", "read_as"),
    [
        (
            {"type": "input_image", "image_url": "https://x/a.png", "detail": "low"},
            Media("image", url="https://x/a.png", detail="low"),
        ),
        (
            {
                "type": "input_image",
                "image_url": "data:image/png;base64,AA==",
                "detail": "auto",
            },
            Media("image", "image/png", "AA=="),
        ),
        (
            {"type": "input_image", "file_id": "file-1", "image_url": None},
            Media("image", file_id="file-1"),
        ),
        (
            {
                "type": "input_file",
                "filename": "a.pdf",
                "file_data": "data:application/pdf;base64,AA==",
            },
            Media("document", "application/pdf", "AA==", name="a.pdf"),
        ),
        (
            {"type": "input_file", "file_data": "AA=="},
            Media("document", data="AA=="),
        ),
        (
            {"type": "input_file", "file_url": "https://x/a.pdf"},
            Media("document", url="https://x/a.pdf"),
        ),
        (
            {"type": "input_file", "file_id": "file-1"},
            Media("document", file_id="file-1"),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
            Media("audio", "audio/mpeg", "AA=="),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            Media("audio", "audio/wav", "AA=="),
        ),
    ],
)
def test_media_are_read(part, read_as):
    assert parts(part) == (read_as,)


def test_tools_are_read():
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: A"}
    request = read(
        tools=[
            {**FUNCTION, "description": "d", "strict": True},
            {"type": "function", "name": "g", "parameters": None},
            {**CUSTOM, "description": "p", "format": grammar},
            {"type": "custom", "name": "free", "format": {"type": "text"}},
        ]
    )
    assert request.tools == (
        Tool("f", "d", SCHEMA, strict=True),
        Tool("g"),
        Tool("patch", "p", custom=True, grammar=grammar),
        Tool("free", custom=True),
    )


@pytest.mark.parametrize(
    ("choice", "read_as"),
    [
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ({"type": "function", "name": "f"}, ToolChoice("named", "f")),
        ({"type": "custom", "name": "patch"}, ToolChoice("named", "patch")),
    ],
)
def test_the_choice_of_a_tool_is_read(choice, read_as):
    request = read(tools=[FUNCTION, CUSTOM], tool_choice=choice)
    assert request.tool_choice == read_as
    assert [tool.name for tool in request.tools] == ["f", "patch"]


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_tools_that_are_not_allowed_are_left_out(mode):
    allowed = {"type": "allowed_tools", "mode": mode, "tools": [CUSTOM]}
    request = read(tools=[FUNCTION, CUSTOM], tool_choice=allowed)
    assert request.tool_choice == ToolChoice(mode)
    assert [tool.name for tool in request.tools] == ["patch"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 1}, "input"),
        ({"input": [{"role": "system", "content": "a"}]}, "input"),
        ({"input": ["a"]}, "input.0"),
        ({"input": [{"role": "tool", "content": "a"}]}, "input.0.role"),
        ({"input": [{"role": ["user"], "content": "a"}]}, "input.0.role"),
        ({"input": [{"role": "user"}]}, "input.0.content"),
        ({"input": [{"role": "user", "content": [1]}]}, "input.0.content.0"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
            "input.0.content.0.text",
        ),
        ({"input": [{"type": 1}]}, "input.0.type"),
        ({"input": [{"type": "function_call", "call_id": 1}]}, "input.0.call_id"),
        (
            {"input": [{"type": "custom_tool_call", "call_id": "1", "name": "f"}]},
            "input.0.input",
        ),
        (
            {"input": [{"type": "function_call_output", "call_id": "1"}]},
            "input.0.output",
        ),
        (
            {"input": [{"type": "reasoning", "encrypted_content": 1}]},
            "input.0.encrypted_content",
        ),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input.0.id"),
        ({"input": [{"id": "msg_1"}]}, "input.0.id"),
        ({"instructions": ["a"]}, "instructions"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": 1e30}, "max_output_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": "1"}, "top_p"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"include": "all"}, "include"),
        ({"user": 1}, "user"),
        ({"service_tier": 1}, "service_tier"),
        ({"parallel_tool_calls": "yes"}, "parallel_tool_calls"),
        ({"reasoning": "low"}, "reasoning"),
        ({"reasoning": {"effort": 1}}, "reasoning.effort"),
        ({"text": "json"}, "text"),
        ({"text": {"verbosity": 1}}, "text.verbosity"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
        (
            {"text": {"format": {"type": "json_schema", "schema": {}}}},
            "text.format.name",
        ),
        ({"tools": {}}, "tools"),
        ({"tools": [1]}, "tools.0"),
        ({"tools": [{"type": "function"}]}, "tools.0.name"),
        ({"tools": [{**FUNCTION, "parameters": []}]}, "tools.0.parameters"),
        ({"tools": [{**FUNCTION, "strict": 1}]}, "tools.0.strict"),
        ({"tools": [{**CUSTOM, "format": {"type": "x"}}]}, "tools.0.format.type"),
        (
            {"tools": [{**CUSTOM, "format": {"type": "grammar"}}]},
            "tools.0.format.syntax",
        ),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"tool_choice": 1}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
        (
            {"tool_choice": {"type": "allowed_tools", "mode": "none"}},
            "tool_choice.mode",
        ),
        (
            {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}},
            "tool_choice.tools",
        ),
    ],
)
def test_the_field_that_is_wrong_is_named(fields, field):
    with pytest.raises(InvalidInputError) as caught:
        read(**fields)
    assert field_at_fault(caught) == field
    assert not isinstance(caught.value, UnsupportedFeatureError)


HOSTED = [
    *("web_search", "web_search_preview", "file_search", "code_interpreter", "mcp"),
    *("image_generation", "local_shell", "computer_use_preview", "shell"),
    *("apply_patch", "tool_search"),
]


@pytest.mark.parametrize("kind", HOSTED)
def test_tools_that_run_at_openai_are_unsupported(kind):
    with pytest.raises(UnsupportedFeatureError, match=kind) as caught:
        read(tools=[FUNCTION, {"type": kind}])
    assert field_at_fault(caught) == "tools.1.type"


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        (
            {"input": [{"type": "web_search_call", "id": "ws_1"}]},
            "input.0.type",
            "web_search_call",
        ),
        (
            {"input": [{"type": "computer_call_output"}]},
            "input.0.type",
            "computer_call_output",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_video"}]}]},
            "input.0.content.0.type",
            "input_video",
        ),
        ({"tool_choice": {"type": "mcp"}}, "tool_choice.type", "mcp"),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "auto",
                    "tools": [{"type": "file_search"}],
                }
            },
            "tool_choice.tools.0.type",
            "file_search",
        ),
        ({"prompt": {"id": "pmpt_1"}}, "prompt", "prompts"),
    ],
)
def test_what_only_openai_can_do_is_unsupported(fields, field, words):
    with pytest.raises(UnsupportedFeatureError, match=words) as caught:
        read(**fields)
    assert field_at_fault(caught) == field


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "My secret!"}]},
        {"input": [{"type": "My secret!"}]},
        {"input": [{"role": "My secret!", "content": "a"}]},
        {"input": [{"role": "user", "content": [{"type": "My secret!"}]}]},
        {"tool_choice": "My secret!"},
        {"text": {"format": {"type": "My secret!"}}},
    ],
)
def test_errors_do_not_repeat_what_callers_say(fields):
    with pytest.raises(InvalidInputError) as caught:
        read(**fields)
    assert "secret" not in f"{caught.value.message} {caught.value.details}"


def complaint_of(look, body):
    try:
        look(body)
    except InvalidInputError as error:
        return error.details
    return None


@given(canonical.JSON_OBJECTS, canonical.JSON_VALUES)
def test_bodies_of_any_form_are_read_or_refused(fields, value):
    names = ["input", "tools", "tool_choice", "text", "reasoning", "include"]
    shapes = [value, [value], [{"role": "user", "type": value, "content": value}]]
    shapes += [{"type": value, "mode": value, "format": value, "tools": value}]
    kinds = ["message", "function_call", "custom_tool_call", "reasoning"]
    shapes += [
        [{"type": kind, "role": "user", "content": [{"type": part, "text": value}]}]
        for kind in [*kinds, "function_call_output", "function", "custom"]
        for part in ["input_text", "input_image", "input_file", "input_audio"]
    ]
    for body in [
        fields,
        *({**HELLO, name: shape} for name in names for shape in shapes),
    ]:
        for look in (SURFACE.decode_request, SURFACE.check_request):
            details = complaint_of(look, body)
            assert details is None or details[0]["field"]


@pytest.mark.parametrize(
    "fields",
    [
        {"input": "a"},
        {"input": [], "stream": True},
        {"input": [{"type": "a thing of the future"}], "tools": "whatever"},
        {"prompt": {"id": "pmpt_1"}},
        {"previous_response_id": "resp_1", "input": None},
        {"conversation": "conv_1"},
    ],
)
def test_what_an_upstream_may_understand_is_not_refused(fields):
    SURFACE.check_request(fields)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "input"),
        ({"input": None}, "input"),
        ({"input": 1, "prompt": {"id": "pmpt_1"}}, "input"),
        ({"input": {}}, "input"),
        ({"input": "a", "stream": 1}, "stream"),
    ],
)
def test_what_no_upstream_understands_is_refused(fields, field):
    with pytest.raises(InvalidInputError) as caught:
        SURFACE.check_request(fields)
    assert field_at_fault(caught) == field


GROUP = {
    "type": "namespace",
    "name": "crm",
    "description": "Customers.",
    "tools": [
        {"type": "function", "name": "find", "parameters": {"type": "object"}},
        {"type": "custom", "name": "note"},
    ],
}


def test_a_conversation_that_is_kept_at_openai_is_not_ignored():
    with pytest.raises(UnsupportedFeatureError) as caught:
        read(conversation="conv_1")
    assert field_at_fault(caught) == "conversation"


def test_tools_of_a_namespace_are_named_after_it():
    call = {
        "type": "function_call",
        "call_id": "c1",
        "namespace": "crm",
        "name": "find",
        "arguments": "{}",
    }
    asked = {"model": "m", "input": [call], "tools": [GROUP]}
    request = OpenAIResponsesSurface().decode_request(asked)
    assert [tool.name for tool in request.tools] == ["crm__ns__find", "crm__ns__note"]
    assert request.messages[0].content[0].name == "crm__ns__find"


def test_calls_come_back_to_their_namespace():
    parts = (
        ToolCall("c1", "crm__ns__find", "{}"),
        ToolCall("c2", "crm__ns__note", '{"input": "hi"}'),
    )
    response = ChatResponse(parts, "m", "tool_calls", Usage())
    asked = Asked("1", 0, "m", {"model": "m", "input": "Hi", "tools": [GROUP]})
    body = OpenAIResponsesSurface().encode_response(response, asked)
    found, noted = orjson.loads(body)["output"]
    assert (found["namespace"], found["name"]) == ("crm", "find")
    assert (noted["namespace"], noted["type"], noted["input"]) == (
        "crm",
        "custom_tool_call",
        "hi",
    )
