from contextlib import suppress

import orjson
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
    ToolChoice,
    ToolResult,
    said,
)
from llm_proxy.wire.openai_chat import OpenAIChat, OpenAIChatSurface

PLAIN = OpenAIChat()
FULL = OpenAIChat(
    max_tokens_field="max_completion_tokens",
    json_schema=True,
    developer_role=True,
    custom_tools=True,
    lacks=frozenset(),
)
SURFACE = OpenAIChatSurface()
HELLO = [{"role": "user", "content": "Hello"}]
SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False}
GRAMMAR = {"type": "grammar", "syntax": "regex", "definition": "a+"}


def encode(request, dialect=FULL, stream=False):
    return orjson.loads(dialect.encode_request("m", request, stream).body)


def asking(**options):
    return ChatRequest((said("user", "Hello"),), **options)


def messages(*turns, dialect=FULL):
    return encode(ChatRequest(turns), dialect)["messages"]


def decode(**fields):
    return SURFACE.decode_request({"model": "m", "messages": HELLO, **fields})


def turns(*written):
    return decode(messages=list(written)).messages


def refused(error, **fields):
    """The field that is at fault."""
    with pytest.raises(error) as caught:
        decode(**fields)
    assert type(caught.value) is error
    return caught.value.details[0]["field"]


def test_a_bare_prompt_is_exactly_model_and_messages():
    assert encode(asking(), PLAIN) == {"model": "m", "messages": HELLO}


def test_requests_go_to_one_path():
    assert PLAIN.path("any", stream=True) == "/chat/completions"


OPTIONS = [
    ("max_tokens", 5, {"max_completion_tokens": 5}),
    ("temperature", 0, {"temperature": 0}),
    ("top_p", 0.5, {"top_p": 0.5}),
    ("top_k", 3, {"top_k": 3}),
    ("stop", ("a", "b"), {"stop": ["a", "b"]}),
    ("seed", 0, {"seed": 0}),
    ("frequency_penalty", -1.5, {"frequency_penalty": -1.5}),
    ("presence_penalty", 2, {"presence_penalty": 2}),
    ("logit_bias", {"50256": -100}, {"logit_bias": {"50256": -100}}),
    ("logprobs", 0, {"logprobs": True, "top_logprobs": 0}),
    ("logprobs", 3, {"logprobs": True, "top_logprobs": 3}),
    ("user", "u", {"user": "u"}),
    ("service_tier", "flex", {"service_tier": "flex"}),
    ("verbosity", "low", {"verbosity": "low"}),
    ("reasoning", Reasoning("high"), {"reasoning_effort": "high"}),
    ("user", "u" * 64, {"user": "u" * 64}),
    ("response_format", ResponseFormat(), {"response_format": {"type": "json_object"}}),
    (
        "response_format",
        ResponseFormat(SCHEMA, "n", "d", strict=True),
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": "n",
                    "description": "d",
                    "schema": SCHEMA,
                    "strict": True,
                },
            }
        },
    ),
]


@pytest.mark.parametrize(("name", "value", "fields"), OPTIONS)
def test_every_option_has_its_field(name, value, fields):
    request = asking(**{name: value})

    assert encode(request) == {"model": "m", "messages": HELLO, **fields}
    assert decode(**fields) == request


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
    encoded = FULL.encode_request("m", asking(response_format=form), False)
    sent = orjson.loads(encoded.body)["response_format"]["json_schema"]
    assert (sent["schema"], sent["strict"]) == (schema, written)
    assert encoded.dropped == dropped


def test_a_tool_is_not_strict_if_its_schema_is_not():
    tool = Tool("f", parameters={"type": "object"}, strict=True)
    encoded = FULL.encode_request("m", asking(tools=(tool,)), False)
    [sent] = orjson.loads(encoded.body)["tools"]
    assert sent["function"]["strict"] is False
    assert encoded.dropped == ("strict",)


def test_all_fields_of_tools_are_written():
    request = asking(
        tools=(
            Tool("f", "what", SCHEMA, strict=True, cache="1h"),
            Tool("bare"),
            Tool("c", "free", custom=True, grammar=GRAMMAR),
        ),
        tool_choice=ToolChoice("named", "c"),
        parallel_tool_calls=False,
    )
    fields = {
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "f",
                    "description": "what",
                    "parameters": SCHEMA,
                    "strict": True,
                },
                "cache_control": {"type": "ephemeral", "ttl": "1h"},
            },
            {"type": "function", "function": {"name": "bare"}},
            {
                "type": "custom",
                "custom": {
                    "name": "c",
                    "description": "free",
                    "format": {
                        "type": "grammar",
                        "grammar": {"definition": "a+", "syntax": "regex"},
                    },
                },
            },
        ],
        "tool_choice": {"type": "custom", "custom": {"name": "c"}},
        "parallel_tool_calls": False,
    }

    assert encode(request) == {"model": "m", "messages": HELLO, **fields}
    assert decode(**fields) == request


def test_grammars_are_understood_in_the_words_of_either_api():
    chat = {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a+"}}
    written = [
        encode(asking(tools=(Tool("c", custom=True, grammar=form),)))["tools"]
        for form in (chat, GRAMMAR)
    ]
    assert written[0] == written[1]
    assert written[0][0]["custom"]["format"] == chat


@pytest.mark.parametrize(
    ("dialect", "request_", "fields"),
    [
        (PLAIN, asking(tool_choice=ToolChoice("auto")), {}),
        (PLAIN, asking(parallel_tool_calls=True), {}),
        (PLAIN, asking(response_format=ResponseFormat(required=False)), {}),
        (PLAIN, asking(reasoning=Reasoning(visible=True)), {}),
        (FULL, asking(reasoning=Reasoning("low", 99999)), {"reasoning_effort": "low"}),
        (FULL, asking(reasoning=Reasoning("max")), {"reasoning_effort": "xhigh"}),
        *(
            (FULL, asking(reasoning=Reasoning("", tokens)), {"reasoning_effort": name})
            for tokens, name in [(1024, "low"), (2049, "medium"), (9000, "high")]
        ),
    ],
)
def test_what_makes_no_sense_is_left_out_and_budgets_become_efforts(
    dialect, request_, fields
):
    assert encode(request_, dialect) == {"model": "m", "messages": HELLO, **fields}


def test_a_stream_is_asked_for_with_its_usage():
    assert encode(asking(), stream=True) == {
        "model": "m",
        "messages": HELLO,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    body = encode(asking(), OpenAIChat(stream_usage=False), stream=True)
    assert body.keys() == {"model", "messages", "stream"}


def test_knobs_that_an_upstream_lacks_are_dropped_and_named():
    cached = Message("user", (Text("a", cache="5m"),))
    request = ChatRequest((cached,), top_k=3, seed=1, unknown=("store",))
    dialect = OpenAIChat(lacks=frozenset(("top_k", "seed", "cache")))

    body, dropped = dialect.encode_request("m", request, False)

    assert orjson.loads(body) == {
        "model": "m",
        "messages": [{"role": "user", "content": "a"}],
    }
    assert sorted(dropped) == ["cache", "seed", "top_k"]
    assert FULL.encode_request("m", request, False).dropped == ()


def test_a_mark_inside_of_a_tool_result_is_dropped_and_named():
    call = Message("assistant", (ToolCall("1", "f", "{}"),))
    result = Message("user", (ToolResult("1", (Text("a", cache="5m"),)),))

    encoded = OpenAIChat().encode_request("m", ChatRequest((call, result)), False)

    assert encoded.dropped == ("cache",)


IMAGE = {"type": "image_url", "image_url": {"url": "https://x/a.png"}}
PARTS = [
    (
        Text("a", cache="5m"),
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
    ),
    (Media("image", url="https://x/a.png"), IMAGE),
    (
        Media("image", "image/png", "AA==", detail="low", cache="1h"),
        {
            "type": "image_url",
            "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"},
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
    ),
    (
        Media("document", "application/pdf", "AA==", name="a.pdf"),
        {
            "type": "file",
            "file": {
                "file_data": "data:application/pdf;base64,AA==",
                "filename": "a.pdf",
            },
        },
    ),
    (
        Media("document", file_id="file-1"),
        {"type": "file", "file": {"file_id": "file-1"}},
    ),
    (
        Media("audio", "audio/mpeg", "AA=="),
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
    ),
    (
        Media("audio", "audio/wav", "AA=="),
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ),
]


@pytest.mark.parametrize(("part", "written"), PARTS)
def test_every_content_part_has_its_form(part, written):
    assert messages(Message("user", (part,))) == [
        {"role": "user", "content": [written]}
    ]
    assert turns({"role": "user", "content": [written]}) == (Message("user", (part,)),)


@pytest.mark.parametrize(
    ("written", "part"),
    [
        ({"type": "refusal", "refusal": "No."}, Text("No.")),
        ({"type": "image_url", "image_url": "u"}, Media("image", url="u")),
        (
            {"type": "image_url", "image_url": {"url": "data:image/gif;x=y;base64,A"}},
            Media("image", "image/gif", "A"),
        ),
        (
            {"type": "file", "file": {"file_data": "AA==", "filename": "a"}},
            Media("document", data="AA==", name="a"),
        ),
    ],
)
def test_other_forms_of_parts_are_understood(written, part):
    assert turns({"role": "user", "content": [written]})[0].content == (part,)


def test_a_document_gets_the_name_and_type_that_the_vendor_demands():
    (message,) = messages(Message("user", (Media("document", data="AA=="),)))
    assert message["content"][0]["file"] == {
        "file_data": "data:application/pdf;base64,AA==",
        "filename": "document.pdf",
    }


@pytest.mark.parametrize(
    "media",
    [
        Media("image", file_id="f"),
        Media("document", url="https://x/a.pdf"),
        Media("audio", url="https://x/a.mp3"),
    ],
)
def test_media_that_the_dialect_cannot_name_are_refused(media):
    with pytest.raises(UnsupportedFeatureError, match="does not support") as caught:
        messages(Message("user", (media,)))
    assert caught.value.details[0]["field"] == "messages"


CONVERSATION = [
    {"role": "system", "content": "s"},
    {"role": "developer", "content": "d"},
    {"role": "user", "content": "u", "name": "Ann"},
    {
        "role": "assistant",
        "content": None,
        "reasoning_content": "hm",
        "tool_calls": [
            {
                "id": "1",
                "type": "function",
                "function": {"name": "f", "arguments": '{"a":1}'},
                "extra_content": {"google": {"thought_signature": "sig"}},
            },
            {"id": "2", "type": "custom", "custom": {"name": "c", "input": "text"}},
        ],
    },
    {"role": "tool", "tool_call_id": "1", "content": "one"},
    {
        "role": "tool",
        "tool_call_id": "2",
        "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
    },
    {"role": "user", "content": "go on"},
    {"role": "assistant", "content": "end"},
]
TURNS = (
    said("system", "s"),
    said("developer", "d"),
    Message("user", (Text("u"),), "Ann"),
    Message(
        "assistant",
        (
            Thinking("hm"),
            ToolCall("1", "f", '{"a":1}', signature="sig"),
            ToolCall("2", "c", "text", custom=True),
        ),
    ),
    Message(
        "user",
        (
            ToolResult("1", (Text("one"),)),
            ToolResult("2", (Text("a"), Text("b")), custom=True),
            Text("go on"),
        ),
    ),
    said("assistant", "end"),
)


def test_a_conversation_is_the_same_in_both_forms():
    assert turns(*CONVERSATION) == TURNS
    assert messages(*TURNS) == CONVERSATION


def test_a_modest_upstream_gets_plain_words_only():
    written = messages(*TURNS, dialect=OpenAIChat(text_lists=False))

    assert [message["role"] for message in written[:3]] == ["system", "system", "user"]
    assert written[3] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "1",
                "type": "function",
                "function": {"name": "f", "arguments": '{"a":1}'},
            },
            {
                "id": "2",
                "type": "function",
                "function": {"name": "c", "arguments": '{"input":"text"}'},
            },
        ],
    }
    assert written[5]["content"] == "a\nb"


def test_custom_tools_become_functions_for_those_who_do_not_know_them():
    tools = (Tool("c", custom=True),)
    body = encode(asking(tools=tools, tool_choice=ToolChoice("named", "c")), PLAIN)

    assert body["tools"][0]["type"] == "function"
    assert "input" in body["tools"][0]["function"]["parameters"]["properties"]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "c"}}


def test_what_a_tool_shows_comes_after_all_results():
    image = Media("image", url="https://x/a.png")
    results = (ToolResult("1", (Text("a"), image)), ToolResult("2", ()))
    assert messages(Message("user", (*results, Text("and?")))) == [
        {"role": "tool", "tool_call_id": "1", "content": "a"},
        {"role": "tool", "tool_call_id": "2", "content": ""},
        {"role": "user", "content": [IMAGE, {"type": "text", "text": "and?"}]},
    ]


def test_functions_of_the_older_api_are_tools():
    request = decode(
        messages=[
            {
                "role": "assistant",
                "content": None,
                "function_call": {"name": "f", "arguments": "{}"},
            },
            {"role": "function", "name": "f", "content": "r"},
        ],
        functions=[{"name": "f", "description": "d", "parameters": SCHEMA}],
        function_call={"name": "f"},
    )
    call, result = request.messages
    assert request.tools == (Tool("f", "d", SCHEMA),)
    assert request.tool_choice == ToolChoice("named", "f")
    assert call.content == (ToolCall("call_0", "f", "{}"),)
    assert result.content == (ToolResult("call_0", (Text("r"),)),)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"tool_choice": "auto"}, ToolChoice("auto")),
        ({"tool_choice": "none"}, ToolChoice("none")),
        ({"tool_choice": "required"}, ToolChoice("required")),
        (
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
            ToolChoice("named", "f"),
        ),
        ({"function_call": "none"}, ToolChoice("none")),
        ({"tool_choice": None}, None),
    ],
)
def test_choices_of_tools_are_read(fields, expected):
    assert decode(**fields).tool_choice == expected


def test_allowed_tools_are_those_that_remain():
    tools = [{"type": "function", "function": {"name": name}} for name in "abc"]
    allowed = {"mode": "required", "tools": [tools[0], tools[2]]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}

    request = decode(tools=tools, tool_choice=choice)

    assert [tool.name for tool in request.tools] == ["a", "c"]
    assert request.tool_choice == ToolChoice("required")


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"max_tokens": 3}, "max_tokens", 3),
        ({"max_tokens": 3, "max_completion_tokens": 4}, "max_tokens", 4),
        ({"stop": "x"}, "stop", ("x",)),
        ({"logprobs": True}, "logprobs", 0),
        ({"logprobs": False}, "logprobs", None),
        ({"safety_identifier": "s", "user": "u"}, "user", "s"),
        ({"response_format": {"type": "text"}}, "response_format", None),
        ({"modalities": ["text"], "n": 1, "stream": True}, "unknown", ()),
        (
            {"store": False, "metadata": {}, "audio": None},
            "unknown",
            ("metadata", "store"),
        ),
        ({"user": None, "stop": None, "tools": None, "top_p": None}, "stop", ()),
    ],
)
def test_other_spellings_of_options_are_read(fields, name, value):
    assert getattr(decode(**fields), name) == value


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("n", {"n": 2}),
        ("web_search_options", {"web_search_options": {}}),
        ("modalities", {"modalities": ["text", "audio"]}),
        ("tools.0.type", {"tools": [{"type": "web_search"}]}),
        (
            "messages.0.content.0.type",
            {"messages": [{"role": "user", "content": [{"type": "video_url"}]}]},
        ),
    ],
)
def test_features_that_only_the_vendor_has_are_refused(field, fields):
    assert refused(UnsupportedFeatureError, **fields) == field


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("messages", {"messages": None}),
        ("messages", {"messages": []}),
        ("messages", {"messages": "Hello"}),
        ("messages.1", {"messages": [*HELLO, "Hello"]}),
        ("messages.0.role", {"messages": [{"role": "oracle", "content": "x"}]}),
        ("messages.0.role", {"messages": [{"role": ["user"], "content": "x"}]}),
        ("messages.0.content", {"messages": [{"role": "user", "content": 1}]}),
        ("messages.0.content.0", {"messages": [{"role": "user", "content": ["x"]}]}),
        (
            "messages.0.content.0.text",
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        ),
        ("messages.0.tool_call_id", {"messages": [{"role": "tool", "content": "x"}]}),
        (
            "messages.0.tool_calls.0.function.arguments",
            {
                "messages": [
                    {
                        "role": "assistant",
                        "tool_calls": [
                            {"id": "1", "function": {"name": "f", "arguments": {}}}
                        ],
                    }
                ]
            },
        ),
        ("stream", {"stream": "yes"}),
        ("stream_options", {"stream_options": True}),
        ("n", {"n": 0}),
        ("n", {"n": True}),
        ("temperature", {"temperature": 2.1}),
        ("temperature", {"temperature": float("nan")}),
        ("temperature", {"temperature": "1"}),
        ("max_tokens", {"max_tokens": 0}),
        ("max_tokens", {"max_tokens": 1e29}),
        ("seed", {"seed": 2**64 - 1}),
        ("top_logprobs", {"top_logprobs": 3}),
        ("top_logprobs", {"logprobs": True, "top_logprobs": 21}),
        ("stop", {"stop": 1}),
        ("stop.1", {"stop": ["a", 1]}),
        ("logit_bias", {"logit_bias": {"1": "x"}}),
        ("logit_bias", {"logit_bias": {"1": None}}),
        ("tools", {"tools": {}}),
        ("tools.0.function", {"tools": [{"type": "function"}]}),
        ("tools.0.function.name", {"tools": [{"type": "function", "function": {}}]}),
        ("tool_choice", {"tool_choice": "any"}),
        ("tool_choice.type", {"tool_choice": {"type": "any"}}),
        ("response_format.type", {"response_format": {"type": "xml"}}),
        ("response_format.json_schema", {"response_format": {"type": "json_schema"}}),
        ("reasoning_effort", {"reasoning_effort": "much"}),
    ],
)
def test_a_wrong_field_is_named(field, fields):
    assert refused(InvalidInputError, **fields) == field


FIELDS = (
    "messages",
    "tools",
    "functions",
    "tool_choice",
    "function_call",
    "response_format",
    *(name for _, _, fields in OPTIONS for name in fields),
)


@given(st.recursive(st.none() | st.integers() | st.text(max_size=3), st.lists))
def test_no_json_in_any_place_raises_anything_else(value):
    for name in FIELDS:
        with suppress(InvalidInputError):
            decode(**{name: value})
    for message in CONVERSATION:
        for name in message:
            with suppress(InvalidInputError):
                turns({**message, name: value})


CALLS = st.one_of(
    canonical.tool_calls(canonical.CACHES),
    st.builds(
        ToolCall,
        canonical.NAMES,
        canonical.NAMES,
        canonical.TEXTS,
        st.just(True),
        st.just("") | canonical.TEXTS,
        canonical.CACHES,
    ),
)
AUDIO = st.builds(
    Media,
    st.just("audio"),
    st.sampled_from(["audio/wav", "audio/mpeg", "audio/flac"]),
    canonical.BASE64,
    cache=canonical.CACHES,
)
DETAILS = st.sampled_from(["", "low", "high"])
USER = st.one_of(
    canonical.texts(canonical.CACHES),
    canonical.images(canonical.CACHES, DETAILS, files=False),
    canonical.documents(canonical.CACHES, urls=False),
    AUDIO,
)
LEADING = [st.builds(said, st.sampled_from(["system", "developer"]), canonical.TEXTS)]
TURNS_OF = canonical.conversations(
    user=USER,
    assistant=canonical.texts(canonical.CACHES),
    calls=CALLS,
    results=canonical.texts(canonical.CACHES),
    leading=LEADING,
)
EMPTY = st.just("")
REQUESTS = st.builds(
    ChatRequest,
    TURNS_OF,
    tools=canonical.tools(canonical.CACHES),
    response_format=st.none() | canonical.schema_formats() | st.just(ResponseFormat()),
    reasoning=st.none()
    | st.builds(Reasoning, st.sampled_from(["none", "low", "high"])),
    max_tokens=st.none() | st.integers(1, 2**31 - 1),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    top_k=st.none() | st.integers(1, 99),
    stop=st.lists(canonical.TEXTS, max_size=2).map(tuple),
    seed=st.none() | st.integers(-(2**63), 2**63 - 1),
    frequency_penalty=st.none() | st.floats(-2, 2),
    presence_penalty=st.none() | st.floats(-2, 2),
    logit_bias=st.none() | st.dictionaries(canonical.NAMES, st.floats(-100, 100)),
    logprobs=st.none() | st.integers(0, 20),
    user=EMPTY | canonical.TEXTS,
    service_tier=EMPTY | canonical.NAMES,
    verbosity=EMPTY | canonical.NAMES,
)


@given(REQUESTS)
def test_what_is_written_is_read_back(request):
    fields = orjson.loads(FULL.encode_request("m", request, False).body)
    assert SURFACE.decode_request(fields) == request


@given(
    st.lists(
        st.builds(Tool, canonical.NAMES, parameters=canonical.SCHEMAS), min_size=1
    ),
    canonical.TOOL_CHOICES,
    st.none() | st.booleans(),
)
def test_choices_of_tools_are_read_back(tools, choice, parallel):
    request = asking(
        tools=tuple(tools), tool_choice=choice, parallel_tool_calls=parallel
    )
    assert SURFACE.decode_request(encode(request)) == request


def test_a_mark_on_a_result_and_the_marks_of_calls_are_kept():
    call = ToolCall("1", "f", "{}", cache="5m")
    result = ToolResult("1", (Text("r"),), cache="1h")
    kept = (Message("assistant", (call,)), Message("user", (result,)))
    assert turns(*messages(*kept)) == kept


def test_an_earlier_refusal_is_text():
    refusal = {"role": "assistant", "content": None, "refusal": "No."}
    assert turns(refusal) == (said("assistant", "No."),)


@pytest.mark.parametrize("form", [None, {"type": "text"}])
def test_a_custom_tool_may_take_any_text(form):
    custom = {"name": "c", "format": form}
    tools = decode(tools=[{"type": "custom", "custom": custom}]).tools
    assert tools == (Tool("c", custom=True),)


def test_allowed_tools_must_be_named():
    choice = {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [{"type": "mcp"}]},
    }
    field = refused(InvalidInputError, tools=[], tool_choice=choice)
    assert field == "tool_choice.allowed_tools.tools.0"


def test_whether_usage_is_wanted_must_be_clear():
    options = {"include_usage": "yes"}
    field = refused(InvalidInputError, stream_options=options)
    assert field == "stream_options.include_usage"


def test_an_id_that_is_too_long_is_a_digest():
    users = [
        orjson.loads(OpenAIChat().encode_request("m", asking(user=user), False).body)
        for user in ("u" * 65, "u" * 65, "v" * 65)
    ]
    first, again, other = [body["user"] for body in users]
    assert first == again != other
    assert len(first) == 64


@pytest.mark.parametrize("model", ["gpt-4o", "openai/gpt-4.1-mini", "gpt-3.5-turbo"])
def test_models_that_never_reason_are_not_told_to(model):
    encoded = OpenAIChat().encode_request(
        model, asking(reasoning=Reasoning("high")), False
    )
    assert "reasoning_effort" not in orjson.loads(encoded.body)
    assert encoded.dropped == ("reasoning",)
