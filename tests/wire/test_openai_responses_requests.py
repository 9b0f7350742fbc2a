import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire import strategies as canonical

from llm_proxy.errors import UnsupportedFeatureError
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
    ToolChoice,
    ToolResult,
    said,
)
from llm_proxy.wire.openai_responses import OpenAIResponses, OpenAIResponsesSurface

DIALECT = OpenAIResponses()
SURFACE = OpenAIResponsesSurface()
HELLO = ChatRequest((said("user", "Hello"),))
SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False}


def encode(request, stream=False):
    return orjson.loads(DIALECT.encode_request("gpt-x", request, stream).body)


def dropped(request):
    return DIALECT.encode_request("gpt-x", request, False).dropped


def asking(**options):
    return ChatRequest(HELLO.messages, **options)


def items(*messages):
    return encode(ChatRequest(messages))["input"]


def content(*parts):
    [item] = items(Message("user", parts))
    return item["content"]


def test_a_bare_prompt_is_model_and_input_and_is_not_kept():
    assert encode(HELLO) == {
        "model": "gpt-x",
        "input": [{"role": "user", "content": "Hello"}],
        "store": False,
    }


def test_requests_go_to_one_path():
    assert DIALECT.path("any", stream=True) == "/responses"


def test_every_option_has_its_field():
    request = ChatRequest(
        (said("system", "s"), *HELLO.messages),
        max_tokens=50,
        temperature=1.5,
        top_p=0.5,
        logprobs=3,
        user="u",
        service_tier="flex",
        verbosity="low",
        parallel_tool_calls=False,
        reasoning=Reasoning("high", visible=True),
        response_format=ResponseFormat(SCHEMA, "n", "d", strict=False),
    )
    assert encode(request, stream=True) == {
        "model": "gpt-x",
        "instructions": "s",
        "input": [{"role": "user", "content": "Hello"}],
        "store": False,
        "max_output_tokens": 50,
        "temperature": 1.5,
        "top_p": 0.5,
        "top_logprobs": 3,
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        "user": "u",
        "service_tier": "flex",
        "parallel_tool_calls": False,
        "reasoning": {"effort": "high", "summary": "auto"},
        "text": {
            "verbosity": "low",
            "format": {
                "type": "json_schema",
                "name": "n",
                "description": "d",
                "schema": SCHEMA,
                "strict": False,
            },
        },
        "stream": True,
    }


def test_any_json_can_be_asked_for():
    text = encode(asking(response_format=ResponseFormat()))["text"]
    assert text == {"format": {"type": "json_object"}}


@pytest.mark.parametrize(
    ("budget", "effort"),
    [(1024, "low"), (2048, "low"), (2049, "medium"), (8192, "medium"), (9000, "high")],
)
def test_a_budget_of_thoughts_becomes_an_effort(budget, effort):
    body = encode(asking(reasoning=Reasoning(budget_tokens=budget)))
    assert body["reasoning"] == {"effort": effort}


def test_knobs_that_the_vendor_does_not_have_are_named():
    request = ChatRequest(
        (Message("user", (Text("Hello", "5m"),), name="ann"),),
        top_k=1,
        stop=("END",),
        seed=1,
        frequency_penalty=0.0,
        presence_penalty=1.0,
        logit_bias={"1": 1.0},
    )
    assert dropped(request) == (
        *("top_k", "stop", "seed", "frequency_penalty", "presence_penalty"),
        *("logit_bias", "cache", "name"),
    )
    assert encode(request) == encode(HELLO)
    assert dropped(HELLO) == ()


@pytest.mark.parametrize(
    "request_",
    [
        asking(tools=(Tool("f", cache="1h"),)),
        ChatRequest((Message("user", (ToolResult("1", (), cache="5m"),)),)),
        ChatRequest((Message("user", (ToolResult("1", (Text("a", "5m"),)),)),)),
        ChatRequest((Message("assistant", (ToolCall("1", "f", "", cache="5m"),)),)),
    ],
)
def test_cache_marks_are_named_wherever_they_stand(request_):
    assert dropped(request_) == ("cache",)


def test_a_system_message_in_several_parts_is_an_item():
    system = Message("system", (Text("a"), Text("b")))
    body = encode(ChatRequest((system, *HELLO.messages)))
    assert "instructions" not in body
    assert body["input"][0] == {
        "role": "system",
        "content": [
            {"type": "input_text", "text": "a"},
            {"type": "input_text", "text": "b"},
        ],
    }


def test_developers_speak_where_they_spoke():
    assert items(said("user", "a"), said("developer", "b"), said("system", "c")) == [
        {"role": "user", "content": "a"},
        {"role": "developer", "content": "b"},
        {"role": "system", "content": "c"},
    ]


def test_what_an_assistant_does_is_one_item_each():
    assert items(
        said("user", "a"),
        Message(
            "assistant",
            (
                Thinking("t", encrypted="openai:rs_1:gAAA"),
                Text("b"),
                ToolCall("c1", "f", '{"x":1}'),
                ToolCall("c2", "patch", "free", custom=True),
            ),
        ),
        Message(
            "user",
            (
                ToolResult("c1", (Text("r"),)),
                ToolResult("c2", (Text("s"), Text("t")), custom=True),
                Text("go on"),
            ),
        ),
    )[1:] == [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "t"}],
            "encrypted_content": "gAAA",
        },
        {"role": "assistant", "content": "b"},
        {
            "type": "function_call",
            "call_id": "c1",
            "name": "f",
            "arguments": '{"x":1}',
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
            "output": [
                {"type": "input_text", "text": "s"},
                {"type": "input_text", "text": "t"},
            ],
        },
        {"role": "user", "content": "go on"},
    ]


@pytest.mark.parametrize(
    "thinking",
    [Thinking("t"), Thinking("t", signature="s"), Thinking(encrypted="gemini:x")],
)
def test_thoughts_that_openai_cannot_check_are_not_sent(thinking):
    assert items(Message("assistant", (thinking, Text("a")))) == [
        {"role": "assistant", "content": "a"}
    ]


def test_thoughts_without_an_id_are_sent_without():
    [item] = items(Message("assistant", (Thinking(encrypted="openai::gAAA"),)))
    assert item == {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}


@pytest.mark.parametrize(
    ("media", "written"),
    [
        (
            Media("image", "image/png", "AA=="),
            {
                "type": "input_image",
                "detail": "auto",
                "image_url": "data:image/png;base64,AA==",
            },
        ),
        (
            Media("image", url="https://x/a.png", detail="low"),
            {
                "type": "input_image",
                "detail": "low",
                "image_url": "https://x/a.png",
            },
        ),
        (
            Media("image", file_id="file-1"),
            {"type": "input_image", "detail": "auto", "file_id": "file-1"},
        ),
        (
            Media("document", "application/pdf", "AA==", name="a.pdf"),
            {
                "type": "input_file",
                "filename": "a.pdf",
                "file_data": "data:application/pdf;base64,AA==",
            },
        ),
        (
            Media("document", "text/plain", "AA=="),
            {
                "type": "input_file",
                "filename": "document.txt",
                "file_data": "data:text/plain;base64,AA==",
            },
        ),
        (
            Media("document", data="AA=="),
            {
                "type": "input_file",
                "filename": "document.pdf",
                "file_data": "data:application/pdf;base64,AA==",
            },
        ),
        (
            Media("document", url="https://x/a.pdf"),
            {"type": "input_file", "file_url": "https://x/a.pdf"},
        ),
        (
            Media("document", file_id="file-1", name="n"),
            {"type": "input_file", "filename": "n", "file_id": "file-1"},
        ),
    ],
)
def test_media_are_written(media, written):
    assert content(media) == [written]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (Message("user", (Media("audio", "audio/wav", "AA=="),)), "sounds"),
        (Message("assistant", (Media("image", url="https://x/a"),)), "media"),
    ],
)
def test_what_cannot_be_said_is_an_unsupported_feature(message, words):
    with pytest.raises(UnsupportedFeatureError, match=words) as caught:
        items(message)
    assert "Responses API" in caught.value.message


@pytest.mark.parametrize(
    ("schema", "strict", "written", "dropped"),
    [
        (SCHEMA, None, True, ()),
        ({"type": "object"}, None, False, ()),
        (SCHEMA, False, False, ()),
        ({"type": "object"}, True, False, ("strict",)),
    ],
)
def test_only_a_strict_schema_is_sent_as_strict(schema, strict, written, dropped):
    form = ResponseFormat(schema, strict=strict)
    encoded = DIALECT.encode_request("m", asking(response_format=form), False)
    sent = orjson.loads(encoded.body)["text"]["format"]
    assert (sent["schema"], sent["strict"]) == (schema, written)
    assert encoded.dropped == dropped


def test_a_tool_is_not_strict_if_its_schema_is_not():
    tool = Tool("f", parameters={"type": "object"}, strict=True)
    encoded = DIALECT.encode_request("m", asking(tools=(tool,)), False)
    [sent] = orjson.loads(encoded.body)["tools"]
    assert sent["strict"] is False
    assert encoded.dropped == ("strict",)


def test_tools_are_written():
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: A"}
    tools = (
        Tool("f", "d", SCHEMA, strict=True),
        Tool("g"),
        Tool("patch", "p", custom=True, grammar=grammar),
        Tool("free", custom=True),
    )
    assert encode(asking(tools=tools))["tools"] == [
        {
            "type": "function",
            "name": "f",
            "description": "d",
            "parameters": SCHEMA,
            "strict": True,
        },
        # The API is strict unless it is told not to be.
        {"type": "function", "name": "g", "parameters": None, "strict": False},
        {"type": "custom", "name": "patch", "description": "p", "format": grammar},
        {"type": "custom", "name": "free"},
    ]


def test_a_grammar_may_be_written_as_chat_completions_does():
    grammar = {"grammar": {"syntax": "regex", "definition": "a+"}}
    [tool] = encode(asking(tools=(Tool("p", custom=True, grammar=grammar),)))["tools"]
    assert tool["format"] == {"type": "grammar", "syntax": "regex", "definition": "a+"}


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice("auto"), "auto"),
        (ToolChoice("none"), "none"),
        (ToolChoice("required"), "required"),
        (ToolChoice("named", "f"), {"type": "function", "name": "f"}),
        (ToolChoice("named", "patch"), {"type": "custom", "name": "patch"}),
    ],
)
def test_the_choice_of_a_tool_is_written(choice, written):
    tools = (Tool("f"), Tool("patch", custom=True))
    assert encode(asking(tools=tools, tool_choice=choice))["tool_choice"] == written


DETAILS = st.sampled_from(["", "low", "high"])
HEARD = (
    canonical.texts()
    | canonical.images(detail=DETAILS)
    | canonical.documents(name=canonical.NAMES)
)
OPENAI_THOUGHTS = st.builds(
    lambda text, item_id, content: Thinking(
        text, encrypted=f"openai:{item_id}:{content}"
    ),
    st.just("") | canonical.TEXTS,
    st.just("") | canonical.NAMES.map(lambda name: f"rs_{name}"),
    st.sampled_from(["gAAAAABo", "gAAA=="]),
)
CALLS = st.one_of(
    canonical.tool_calls(),
    canonical.tool_calls(custom=st.just(True), arguments=st.just("") | canonical.TEXTS),
)
GRAMMARS = st.none() | st.builds(
    lambda syntax, definition: {
        "type": "grammar",
        "syntax": syntax,
        "definition": definition,
    },
    st.sampled_from(["lark", "regex"]),
    canonical.TEXTS,
)
CUSTOM_TOOLS = st.lists(
    st.builds(
        Tool,
        canonical.NAMES,
        st.just("") | canonical.TEXTS,
        custom=st.just(True),
        grammar=GRAMMARS,
    ),
    max_size=2,
).map(tuple)
FORMATS = st.one_of(
    st.none(),
    st.just(ResponseFormat()),
    canonical.schema_formats(st.just("") | canonical.TEXTS),
)
REASONING = st.none() | st.builds(
    Reasoning,
    st.sampled_from(["", "none", "low", "high"]),
    visible=st.sampled_from([None, True]),
).filter(lambda reasoning: reasoning != Reasoning())
REQUESTS = st.builds(
    ChatRequest,
    canonical.conversations(
        user=HEARD,
        assistant=canonical.texts() | OPENAI_THOUGHTS,
        calls=CALLS,
        results=HEARD,
        leading=(
            st.builds(said, st.just("system"), canonical.TEXTS),
            st.builds(said, st.sampled_from(["system", "developer"]), canonical.TEXTS),
        ),
    ),
    tools=st.builds(
        lambda functions, custom: functions + custom,
        canonical.tools(strict=st.booleans()),
        CUSTOM_TOOLS,
    ),
    tool_choice=canonical.TOOL_CHOICES,
    parallel_tool_calls=st.sampled_from([None, True, False]),
    response_format=FORMATS,
    reasoning=REASONING,
    max_tokens=st.none() | st.integers(1, 10**6),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    logprobs=st.none() | st.integers(0, 20),
    user=st.just("") | canonical.TEXTS,
    service_tier=st.sampled_from(["", "auto", "flex"]),
    verbosity=st.sampled_from(["", "low", "high"]),
)


@given(REQUESTS, st.booleans())
def test_what_was_written_can_be_read(request_, stream):
    encoded = DIALECT.encode_request("gpt-x", request_, stream)
    assert encoded.dropped == ()
    assert SURFACE.decode_request(orjson.loads(encoded.body)) == request_
