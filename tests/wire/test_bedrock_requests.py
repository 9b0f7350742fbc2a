"""Requests for Converse, against botocore's description of the API."""

import base64
import json
import re
from itertools import pairwise

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

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
from llm_proxy.wire.bedrock import BedrockConverse

DIALECT = BedrockConverse()
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NEW_CLAUDE = "anthropic.claude-opus-4-7"
NOVA = "us.amazon.nova-pro-v1:0"
LLAMA = "meta.llama3-1-70b-instruct-v1:0"
GPT = "openai.gpt-oss-120b-1:0"
ALL = [CLAUDE, NEW_CLAUDE, NOVA, LLAMA, GPT]
HELLO = (said("user", "Hello"),)
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
CLOSED = SCHEMA | {"additionalProperties": False}
LOOK = Tool("look", "Looks.", SCHEMA)
SERVICE = botocore.session.Session().get_service_model("bedrock-runtime")
INPUT = SERVICE.operation_model("ConverseStream").input_shape


def check(value, shape, path=""):
    """Refuse what botocore leaves to the service; give bytes for base64."""
    match shape.type_name:
        case "structure" if not shape.is_document_type:
            assert value.keys() <= shape.members.keys(), path
            if shape.is_tagged_union:
                assert len(value) == 1, path
            return {
                name: check(each, shape.members[name], f"{path}.{name}")
                for name, each in value.items()
            }
        case "list":
            return [
                check(each, shape.member, f"{path}.{number}")
                for number, each in enumerate(value)
            ]
        case "blob":
            return base64.b64decode(value, validate=True)
        case "string":
            pattern = shape.metadata.get("pattern")
            assert value in (shape.enum or [value]), path
            assert len(value) <= shape.metadata.get("max", len(value)), path
            assert pattern is None or re.fullmatch(pattern, value), path
        case "float" | "integer":
            assert value <= shape.metadata.get("max", value), path
    return value


def encode(request, model=CLAUDE):
    encoded = DIALECT.encode_request(model, request, stream=True)
    body = json.loads(encoded.body)
    report = ParamValidator().validate({"modelId": model, **check(body, INPUT)}, INPUT)
    assert not report.has_errors(), report.generate_report()
    return body, encoded.dropped


def body_of(request, model=CLAUDE):
    return encode(request, model)[0]


def user(*parts):
    return Message("user", parts)


def assistant(*parts):
    return Message("assistant", parts)


def turns(*messages, tools=(LOOK,), model=CLAUDE):
    return body_of(ChatRequest(messages, tools=tools), model)["messages"]


@pytest.mark.parametrize("stream", [True, False])
def test_a_bare_prompt_is_nothing_but_messages(stream):
    encoded = DIALECT.encode_request(CLAUDE, ChatRequest(HELLO), stream)

    assert json.loads(encoded.body) == {
        "messages": [{"role": "user", "content": [{"text": "Hello"}]}]
    }
    assert encoded.dropped == ()


@pytest.mark.parametrize(
    ("model", "stream", "path"),
    [
        (CLAUDE, False, "us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"),
        (LLAMA, True, "meta.llama3-1-70b-instruct-v1%3A0/converse-stream"),
        (
            "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.x.y-v1:0",
            False,
            "arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Ainference-profile%2F"
            "eu.x.y-v1%3A0/converse",
        ),
        ("../secrets?a=b#c", False, "..%2Fsecrets%3Fa%3Db%23c/converse"),
    ],
)
def test_the_model_stands_in_the_path(model, stream, path):
    assert DIALECT.path(model, stream) == f"/model/{path}"


def test_the_stream_is_binary():
    assert DIALECT.stream_type == "application/vnd.amazon.eventstream"


def test_options_have_their_fields():
    request = ChatRequest(
        HELLO,
        max_tokens=5,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop=("END", "STOP"),
        service_tier="flex",
    )

    assert body_of(request) == {
        "messages": [{"role": "user", "content": [{"text": "Hello"}]}],
        "inferenceConfig": {
            "maxTokens": 5,
            "temperature": 0.5,
            "topP": 0.9,
            "stopSequences": ["END", "STOP"],
        },
        "additionalModelRequestFields": {"top_k": 40},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
        "serviceTier": {"type": "flex"},
    }


def test_a_high_temperature_is_the_highest():
    body = body_of(ChatRequest(HELLO, temperature=1.7))

    assert body["inferenceConfig"] == {"temperature": 1.0}


@pytest.mark.parametrize(
    ("request_fields", "dropped"),
    [
        ({"seed": 1}, ("seed",)),
        ({"frequency_penalty": 0.0}, ("frequency_penalty",)),
        ({"presence_penalty": 1.0}, ("presence_penalty",)),
        ({"logit_bias": {"1": 2}}, ("logit_bias",)),
        ({"logprobs": 0}, ("logprobs",)),
        ({"user": "u"}, ("user",)),
        ({"verbosity": "low"}, ("verbosity",)),
        ({"parallel_tool_calls": False}, ("parallel_tool_calls",)),
        ({"parallel_tool_calls": True}, ()),
        ({"service_tier": "scale"}, ("service_tier",)),
        ({"service_tier": "auto"}, ()),
        ({"messages": (Message("user", (Text("a"),), "Ann"),)}, ("name",)),
        (
            {
                "messages": (
                    user(Media("image", "image/png", "AA==", detail="low"), Text("a")),
                )
            },
            ("detail",),
        ),
    ],
)
def test_knobs_that_converse_does_not_have_are_named(request_fields, dropped):
    assert encode(ChatRequest(**{"messages": HELLO, **request_fields}))[1] == dropped


@pytest.mark.parametrize(
    ("model", "extras", "dropped"),
    [
        (CLAUDE, {"top_k": 9}, ()),
        (NOVA, {"inferenceConfig": {"topK": 9}}, ()),
        (LLAMA, None, ("top_k",)),
        (NEW_CLAUDE, None, ("top_k",)),
    ],
)
def test_top_k_is_a_field_of_the_vendor(model, extras, dropped):
    body, left_out = encode(ChatRequest(HELLO, top_k=9), model)

    assert (body.get("additionalModelRequestFields"), left_out) == (extras, dropped)


def test_stop_texts_are_reported_only_by_anthropic():
    body = body_of(ChatRequest(HELLO, stop=("END",)), LLAMA)

    assert "additionalModelResponseFieldPaths" not in body


def test_system_and_developer_are_hoisted_in_order():
    body = body_of(
        ChatRequest(
            (
                said("system", "a"),
                said("user", "b"),
                Message("developer", (Text("c", cache="1h"), Text("  "))),
                said("user", "d"),
            )
        )
    )

    assert body == {
        "system": [
            {"text": "a"},
            {"text": "c"},
            {"cachePoint": {"type": "default", "ttl": "1h"}},
        ],
        "messages": [{"role": "user", "content": [{"text": "b"}, {"text": "d"}]}],
    }


def test_a_system_prompt_alone_is_a_turn():
    assert body_of(ChatRequest((said("system", "Sing."),))) == {
        "messages": [{"role": "user", "content": [{"text": "Sing."}]}]
    }


def test_blanks_are_left_out():
    assert turns(
        user(Text(""), Text("a")),
        assistant(Text(" \n"), ToolCall("t", "look", "{}")),
        user(ToolResult("t", (Text(""),)), Text("")),
        assistant(Text("")),
        user(Text("b")),
    ) == [
        {"role": "user", "content": [{"text": "a"}]},
        {
            "role": "assistant",
            "content": [{"toolUse": {"toolUseId": "t", "name": "look", "input": {}}}],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "t", "content": [{"text": ""}]}},
                {"text": "b"},
            ],
        },
    ]


def test_results_of_one_turn_stand_in_one_turn_and_first():
    written = turns(
        user(Text("a")),
        assistant(ToolCall("1", "look", "{}"), ToolCall("2", "look", "{}")),
        user(ToolResult("1", (Text("x"),), cache="5m"), Text("b")),
        user(ToolResult("2", (Text("y"),), is_error=True)),
    )

    assert written[2] == {
        "role": "user",
        "content": [
            {"toolResult": {"toolUseId": "1", "content": [{"text": "x"}]}},
            {"cachePoint": {"type": "default"}},
            {
                "toolResult": {
                    "toolUseId": "2",
                    "content": [{"text": "y"}],
                    "status": "error",
                }
            },
            {"text": "b"},
        ],
    }


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        ('{"a": 1.50}', '{"a": 1.50}'),
        ("", "{}"),
        ("[1]", '{"input":"[1]"}'),
        ('{"a":', '{"input":"{\\"a\\":"}'),
        ("1e999", '{"input":"1e999"}'),
    ],
)
def test_arguments_are_an_object(arguments, written):
    request = ChatRequest(
        (*HELLO, assistant(ToolCall("t", "look", arguments))), tools=(LOOK,)
    )
    body = DIALECT.encode_request(CLAUDE, request, stream=False).body

    assert f'"input":{written}}}'.encode() in body


def test_free_text_is_an_argument():
    tool = Tool(
        "sh", "Runs.", custom=True, grammar={"syntax": "lark", "definition": "x"}
    )
    body = body_of(
        ChatRequest(
            (
                *HELLO,
                assistant(ToolCall("t", "sh", "ls\n", custom=True)),
                user(ToolResult("t", (Text("a"),), custom=True)),
            ),
            tools=(tool,),
        )
    )
    call = body["messages"][1]["content"][0]["toolUse"]
    spec = body["toolConfig"]["tools"][0]["toolSpec"]

    assert call["input"] == {"input": "ls\n"}
    assert spec["inputSchema"]["json"]["required"] == ["input"]
    assert "lark" in spec["description"]


@pytest.mark.parametrize("call_id", ["a b", "x" * 65, "ü", ""])
def test_ids_that_converse_refuses_get_a_name_that_result_and_call_share(call_id):
    written = turns(
        *HELLO,
        assistant(ToolCall(call_id, "look", "{}"), ToolCall("fc_1.a:b-", "look", "{}")),
        user(ToolResult(call_id, ()), ToolResult("fc_1.a:b-", ())),
    )
    calls = [block["toolUse"]["toolUseId"] for block in written[1]["content"]]
    results = [block["toolResult"]["toolUseId"] for block in written[2]["content"]]

    assert calls == results
    assert calls[1] == "fc_1.a:b-"


def test_thoughts_go_back_as_they_came():
    written = turns(
        *HELLO,
        assistant(
            Thinking("Hm.", "c2ln"),
            Thinking("", "c2ln"),
            Thinking(encrypted="AAEC"),
            Text("a"),
        ),
    )

    assert written[1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
        {"reasoningContent": {"reasoningText": {"text": "", "signature": "c2ln"}}},
        {"reasoningContent": {"redactedContent": "AAEC"}},
        {"text": "a"},
    ]


@pytest.mark.parametrize(
    "thinking",
    [
        Thinking("unsigned"),
        Thinking("a summary", encrypted="AAEC"),
        Thinking(encrypted="gAAAA_-"),
        Thinking(),
    ],
)
def test_thoughts_of_others_are_left_out(thinking):
    written = turns(*HELLO, assistant(thinking, Text("a")))

    assert written[1]["content"] == [{"text": "a"}]


@pytest.mark.parametrize(
    ("media", "block"),
    [
        (
            Media("image", "image/png", "AA=="),
            {"image": {"format": "png", "source": {"bytes": "AA=="}}},
        ),
        (
            Media("image", "IMAGE/JPG; q=1", "AA=="),
            {"image": {"format": "jpeg", "source": {"bytes": "AA=="}}},
        ),
        (
            Media("image", url="s3://bucket/a.webp"),
            {
                "image": {
                    "format": "webp",
                    "source": {"s3Location": {"uri": "s3://bucket/a.webp"}},
                }
            },
        ),
        (
            Media("document", "application/pdf", "AA==", name="Q1_(draft).pdf"),
            {
                "document": {
                    "format": "pdf",
                    "name": "Q1 (draft) pdf",
                    "source": {"bytes": "AA=="},
                }
            },
        ),
        (
            Media("document", "", "AA==", name="../é.XLSX"),
            {
                "document": {
                    "format": "xlsx",
                    "name": "XLSX",
                    "source": {"bytes": "AA=="},
                }
            },
        ),
        (
            Media("document", "text/plain; charset=utf-8", "AA=="),
            {
                "document": {
                    "format": "txt",
                    "name": "document",
                    "source": {"bytes": "AA=="},
                }
            },
        ),
        (
            Media("audio", "audio/mpeg", "AA=="),
            {"audio": {"format": "mp3", "source": {"bytes": "AA=="}}},
        ),
    ],
)
def test_media_are_bytes_with_a_format(media, block):
    assert turns(user(media, Text("a")))[0]["content"][0] == block


def test_documents_have_different_names():
    page = Media("document", "application/pdf", "AA==", name="a" * 300)
    result = ToolResult("t", (page,))
    written = turns(user(Text("a"), page, page), assistant(Text("b")), user(result))
    first, second = (block["document"] for block in written[0]["content"][1:])
    third = written[2]["content"][0]["toolResult"]["content"][0]["document"]

    assert len({first["name"], second["name"], third["name"]}) == 3


@pytest.mark.parametrize(
    ("media", "words"),
    [
        (Media("image", url="https://example.com/a.png"), "image by URL"),
        (Media("image", "image/png", file_id="file-1"), "uploaded image"),
        (Media("image", "image/tiff", "AA=="), "image of this type"),
        (Media("image", "", "AA=="), "image of this type"),
        (Media("image", "", "AA==", name="a.pdf"), "image of this type"),
        (Media("document", "application/zip", "AA=="), "document of this type"),
        (Media("audio", "audio/midi", "AA=="), "audio of this type"),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_media_that_converse_cannot_take_are_an_error(media, words, wrapped):
    if wrapped:
        parts, field = (ToolResult("t", (Text("a"), media)),), "0.content.1"
        words = "audio as the result" if media.kind == "audio" else words
    else:
        parts, field = (Text("a"), media), "1"
    with pytest.raises(UnsupportedFeatureError, match=words) as raised:
        turns(*HELLO, user(*parts))

    assert raised.value.details[0]["field"] == f"messages.1.content.{field}"


def test_a_system_prompt_is_text():
    picture = Message("system", (Text("a"), Media("image", "image/png", "AA==")))
    with pytest.raises(UnsupportedFeatureError) as raised:
        turns(picture)

    assert raised.value.details[0]["field"] == "messages.0.content.1"


def test_tools_have_a_specification():
    request = ChatRequest(
        HELLO,
        tools=(
            Tool("look", "Looks.", SCHEMA, strict=True, cache="5m"),
            Tool("rest", strict=False),
        ),
    )

    assert body_of(request)["toolConfig"] == {
        "tools": [
            {
                "toolSpec": {
                    "name": "look",
                    "description": "Looks.",
                    "inputSchema": {"json": CLOSED},
                    "strict": True,
                }
            },
            {"cachePoint": {"type": "default"}},
            {
                "toolSpec": {
                    "name": "rest",
                    "inputSchema": {"json": {"type": "object", "properties": {}}},
                }
            },
        ]
    }


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (None, None),
        (ToolChoice("auto"), None),
        (ToolChoice("required"), {"any": {}}),
        (ToolChoice("named", "look"), {"tool": {"name": "look"}}),
    ],
)
def test_tool_choices_are_written(choice, written):
    body = body_of(ChatRequest(HELLO, tools=(LOOK,), tool_choice=choice))

    assert body["toolConfig"].get("toolChoice") == written


@pytest.mark.parametrize(
    "fields",
    [{"tools": ()}, {"tools": (LOOK,), "tool_choice": ToolChoice("none")}],
)
def test_without_tools_on_offer_their_history_is_told_in_words(fields):
    picture = Media("image", "image/png", "AA==")
    body = body_of(
        ChatRequest(
            (
                *HELLO,
                assistant(Text("I look."), ToolCall("t", "look", '{"a":1}')),
                user(
                    ToolResult("t", (Text("A cat"), picture)),
                    ToolResult("u", (Text("Oops"),), is_error=True),
                    Text("Well?"),
                ),
            ),
            **fields,
        )
    )

    assert "toolConfig" not in body
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"text": "I look."},
                {"text": '[Called the tool look with: {"a":1}]\n'},
            ],
        },
        {
            "role": "user",
            "content": [
                {"text": "[The tool returned:]\n"},
                {"text": "A cat"},
                {"image": {"format": "png", "source": {"bytes": "AA=="}}},
                {"text": "[The tool failed:]\n"},
                {"text": "Oops"},
                {"text": "Well?"},
            ],
        },
    ]


@pytest.mark.parametrize(
    ("model", "content", "tools", "dropped"),
    [
        (CLAUDE, True, True, ()),
        (NOVA, True, False, ("cache",)),
        (LLAMA, False, False, ("cache",)),
    ],
)
def test_cache_points_are_for_models_that_take_them(model, content, tools, dropped):
    request = ChatRequest(
        (user(Text("a", cache="1h")),), tools=(Tool("look", cache="1h"),)
    )
    body, left_out = encode(request, model)
    points = [block for block in body["messages"][0]["content"] if "text" not in block]
    tool_points = [tool for tool in body["toolConfig"]["tools"] if "cachePoint" in tool]

    assert (bool(points), bool(tool_points), left_out) == (content, tools, dropped)


def test_the_lifetime_of_a_cache_is_known_only_to_anthropic():
    request = ChatRequest((user(Text("a", cache="1h")),))
    blocks = [
        body_of(request, model)["messages"][0]["content"][1] for model in (CLAUDE, NOVA)
    ]

    assert blocks == [
        {"cachePoint": {"type": "default", "ttl": "1h"}},
        {"cachePoint": {"type": "default"}},
    ]


@pytest.mark.parametrize(
    ("model", "reasoning", "extras", "effort", "dropped"),
    [
        (
            CLAUDE,
            Reasoning(budget_tokens=2000),
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            None,
            (),
        ),
        (NEW_CLAUDE, Reasoning("high"), {"thinking": {"type": "adaptive"}}, "high", ()),
        (
            "anthropic.claude-3-haiku-20240307-v1:0",
            Reasoning("high"),
            None,
            None,
            ("reasoning",),
        ),
        (GPT, Reasoning("minimal"), {"reasoning_effort": "low"}, None, ()),
        (GPT, Reasoning(budget_tokens=9), None, None, ("reasoning",)),
        (LLAMA, Reasoning("low"), None, None, ("reasoning",)),
    ],
)
def test_reasoning_is_said_in_the_words_of_the_vendor(
    model, reasoning, extras, effort, dropped
):
    body, left_out = encode(ChatRequest(HELLO, reasoning=reasoning), model)

    assert body.get("additionalModelRequestFields") == extras
    assert body.get("outputConfig", {}).get("effort") == effort
    assert "inferenceConfig" not in body
    assert left_out == dropped


def test_a_bound_of_the_answer_leaves_room_for_thoughts():
    request = ChatRequest(HELLO, max_tokens=4000, reasoning=Reasoning("high"))
    body = body_of(request)
    budget = body["additionalModelRequestFields"]["thinking"]["budget_tokens"]

    assert 1024 <= budget < body["inferenceConfig"]["maxTokens"]


def test_thoughts_and_sampling_exclude_each_other():
    body, dropped = encode(
        ChatRequest(
            HELLO,
            temperature=0.2,
            top_p=0.99,
            top_k=5,
            reasoning=Reasoning(budget_tokens=2000),
        )
    )

    assert body["inferenceConfig"] == {"topP": 0.99}
    assert dropped == ("temperature", "top_k")


def test_structured_output_has_a_schema_as_text():
    form = ResponseFormat(SCHEMA, "cat", "A cat.")
    body = body_of(ChatRequest(HELLO, response_format=form))
    written = body["outputConfig"]["textFormat"]
    definition = written["structure"]["jsonSchema"]

    assert written["type"] == "json_schema"
    assert json.loads(definition.pop("schema")) == CLOSED
    assert definition == {"name": "cat", "description": "A cat."}


def test_any_json_is_left_to_the_prompt():
    _, dropped = encode(ChatRequest(HELLO, response_format=ResponseFormat()))
    assert dropped == ("response_format",)


def test_structured_output_that_is_not_required_is_left_out():
    form = ResponseFormat(SCHEMA, required=False)

    assert "outputConfig" not in body_of(ChatRequest(HELLO, response_format=form))


WORDS = st.text(max_size=6)
CACHES = st.sampled_from([None, "5m", "1h"])
NAMES = st.from_regex(r"[a-zA-Z_-]{1,9}", fullmatch=True)
MEDIA = st.one_of(
    st.builds(
        Media, st.just("image"), st.just("image/png"), st.just("AA=="), cache=CACHES
    ),
    st.builds(
        Media, st.just("document"), st.just("text/csv"), st.just("AA=="), name=WORDS
    ),
)
TEXTS = st.builds(Text, WORDS, CACHES)
RESULTS = st.builds(
    ToolResult,
    WORDS,
    st.lists(TEXTS | MEDIA, max_size=2).map(tuple),
    st.booleans(),
    cache=CACHES,
)
CALLS = st.builds(ToolCall, WORDS, NAMES, WORDS, st.booleans(), cache=CACHES)
MESSAGES = st.one_of(
    st.builds(user, TEXTS | MEDIA | RESULTS, TEXTS | RESULTS),
    st.builds(assistant, st.builds(Thinking, WORDS, WORDS, WORDS), TEXTS | CALLS),
    st.builds(lambda part: Message("system", (part,)), TEXTS),
)
REQUESTS = st.builds(
    ChatRequest,
    st.lists(MESSAGES, max_size=5).map(tuple),
    tools=st.lists(
        st.builds(
            Tool,
            NAMES,
            WORDS,
            st.sampled_from([None, SCHEMA]),
            st.sampled_from([None, True, False]),
            st.booleans(),
            cache=CACHES,
        ),
        max_size=2,
    ).map(tuple),
    tool_choice=st.none()
    | st.builds(ToolChoice, st.sampled_from(["auto", "none", "required"]))
    | st.builds(ToolChoice, st.just("named"), NAMES),
    reasoning=st.none()
    | st.builds(
        Reasoning,
        st.sampled_from(["", "none", "minimal", "low", "high", "xhigh", "max"]),
        st.none() | st.integers(1, 99999),
        st.none() | st.booleans(),
    ),
    max_tokens=st.none() | st.integers(1, 99999),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    top_k=st.none() | st.integers(1, 500),
    stop=st.lists(st.text(min_size=1, max_size=3), max_size=2).map(tuple),
)


@given(REQUESTS, st.sampled_from(ALL))
def test_every_request_is_what_the_api_describes(request, model):
    body, _ = encode(request, model)
    roles = [message["role"] for message in body["messages"]]

    assert all(a != b for a, b in pairwise(roles))
    assert all(message["content"] for message in body["messages"])
