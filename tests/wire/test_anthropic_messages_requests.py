import base64

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
from llm_proxy.wire.anthropic_messages import AnthropicMessages, AnthropicSurface

DIALECT = AnthropicMessages()
HELLO = ChatRequest((said("user", "Hello"),))
SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False}
ADAPTIVE = "claude-opus-4-6"
BUDGET = "claude-sonnet-4-5"
NEWEST = "claude-sonnet-5"


def encode(request, model=ADAPTIVE, stream=False):
    return orjson.loads(DIALECT.encode_request(model, request, stream).body)


def dropped(request, model=ADAPTIVE):
    return DIALECT.encode_request(model, request, False).dropped


def asking(**options):
    return ChatRequest(HELLO.messages, **options)


def content(*parts, role="user"):
    """The blocks of a turn."""
    written = encode(ChatRequest((Message(role, parts),)))["messages"][0]["content"]
    return written if isinstance(written, list) else [written]


def test_a_bare_prompt_is_model_max_tokens_and_messages():
    assert encode(HELLO) == {
        "model": ADAPTIVE,
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": "Hello"}],
    }


def test_the_operator_says_how_long_an_unbounded_answer_is():
    dialect = AnthropicMessages(default_max_tokens=77)
    body = dialect.encode_request("claude-x", HELLO, False).body
    assert orjson.loads(body)["max_tokens"] == 77


def test_requests_go_to_one_path():
    assert DIALECT.path("any", stream=True) == "/messages"


def test_every_option_has_its_field():
    request = ChatRequest(
        (said("system", "s"), *HELLO.messages),
        max_tokens=5,
        temperature=1.5,
        top_p=0.5,
        top_k=3,
        stop=("END",),
        user="u",
        service_tier="default",
    )
    assert encode(request, stream=True) == {
        "model": ADAPTIVE,
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "Hello"}],
        "system": "s",
        "temperature": 1.0,
        "top_p": 0.5,
        "top_k": 3,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u"},
        "service_tier": "standard_only",
        "stream": True,
    }


def test_knobs_that_the_vendor_does_not_have_are_named():
    request = asking(
        seed=1,
        frequency_penalty=0.0,
        presence_penalty=1.0,
        logit_bias={"1": 1.0},
        logprobs=0,
        verbosity="low",
        service_tier="flex",
    )
    assert set(dropped(request)) == {
        *("seed", "frequency_penalty", "presence_penalty", "logit_bias"),
        *("logprobs", "verbosity", "service_tier"),
    }
    assert encode(request) == encode(HELLO)


def test_names_of_speakers_and_details_of_images_are_named_too():
    image = Media("image", url="https://example.com/a.png", detail="low")
    request = ChatRequest((Message("user", (Text("a"), image), name="ann"),))
    assert dropped(request) == ("name", "detail")


@pytest.mark.parametrize("knob", [{"temperature": 0.5}, {"top_p": 0.5}, {"top_k": 4}])
def test_the_newest_models_take_no_sampling(knob):
    request = asking(**knob)
    assert encode(request, NEWEST) == encode(HELLO, NEWEST)
    assert dropped(request, NEWEST) == tuple(knob)
    assert dropped(request, BUDGET) == ()


def test_system_and_developer_messages_are_hoisted_in_order():
    request = ChatRequest(
        (
            said("system", "a"),
            said("user", "b"),
            Message("developer", (Text("c", "1h"),)),
            said("user", "d"),
        )
    )
    body = encode(request)
    assert body["system"] == [
        {"type": "text", "text": "a"},
        {
            "type": "text",
            "text": "c",
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
    ]
    assert body["messages"] == [
        {
            "role": "user",
            "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "d"}],
        }
    ]


def test_a_system_message_alone_is_said_by_the_user():
    body = encode(ChatRequest((said("system", "a"),)))
    assert body["messages"] == [{"role": "user", "content": "a"}]
    assert "system" not in body


def test_results_of_one_turn_stand_in_one_turn_before_everything_else():
    request = ChatRequest(
        (
            said("user", "a"),
            Message(
                "assistant", (ToolCall("1", "f", '{"x":1}'), ToolCall("2", "f", ""))
            ),
            Message("user", (ToolResult("1", (Text("r"),)), Text("b"))),
            Message("user", (ToolResult("2", (), is_error=True), Text("c"))),
        )
    )
    assert encode(request)["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "1", "name": "f", "input": {"x": 1}},
                {"type": "tool_use", "id": "2", "name": "f", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": "r"},
                {"type": "tool_result", "tool_use_id": "2", "is_error": True},
                {"type": "text", "text": "b"},
                {"type": "text", "text": "c"},
            ],
        },
    ]


def test_ids_of_other_vendors_are_made_fit():
    request = ChatRequest(
        (
            Message("assistant", (ToolCall("functions.f:0", "f", "{}"),)),
            Message("user", (ToolResult("functions.f:0", ()),)),
        )
    )
    call, result = [turn["content"][0] for turn in encode(request)["messages"]]
    assert call["id"] == result["tool_use_id"] == "functions_f_0"


def test_arguments_are_taken_over_as_the_model_wrote_them():
    arguments = '{"n": 123456789012345678901234567890, "m": [1.0 ]}'
    call = Message("assistant", (ToolCall("1", "f", arguments),))
    encoded = AnthropicMessages().encode_request("m", ChatRequest((call,)), False)
    assert arguments.encode() in encoded.body


@pytest.mark.parametrize("arguments", ["[1]", '{"a":', "free", "1e999"])
def test_arguments_that_are_no_object_are_kept_as_input(arguments):
    [block] = content(ToolCall("1", "f", arguments), role="assistant")
    assert block["input"] == {"input": arguments}


def test_empty_texts_and_empty_turns_are_left_out():
    request = ChatRequest(
        (
            Message("user", (Text(""), Text("a"))),
            said("assistant", ""),
            said("user", "b"),
        )
    )
    [turn] = encode(request)["messages"]
    assert [block["text"] for block in turn["content"]] == ["a", "b"]
    assert encode(ChatRequest((said("user", ""),)))["messages"] == [
        {"role": "user", "content": ""}
    ]


@pytest.mark.parametrize(
    ("thinking", "block"),
    [
        (
            Thinking("t", "s"),
            {"type": "thinking", "thinking": "t", "signature": "s"},
        ),
        (Thinking(encrypted="e"), {"type": "redacted_thinking", "data": "e"}),
        (Thinking("t", encrypted="e"), {"type": "redacted_thinking", "data": "e"}),
    ],
)
def test_thoughts_go_back_to_where_they_come_from(thinking, block):
    assert content(thinking, Text("a"), role="assistant")[0] == block


def test_thoughts_that_nobody_can_verify_stay_here():
    assert content(Thinking("t"), Text("a"), role="assistant") == ["a"]


@pytest.mark.parametrize(
    ("media", "source"),
    [
        (
            Media("image", "image/jpg", data="AA=="),
            {"type": "base64", "media_type": "image/jpeg", "data": "AA=="},
        ),
        (Media("image", url="https://a/b"), {"type": "url", "url": "https://a/b"}),
        (Media("image", file_id="f"), {"type": "file", "file_id": "f"}),
        (
            Media("document", "application/pdf", data="AA=="),
            {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
        ),
        (
            Media("document", data="AA=="),
            {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
        ),
        (
            Media("document", "text/csv; charset=utf-8", data="w6Q="),
            {"type": "text", "media_type": "text/plain", "data": "ä"},
        ),
    ],
)
def test_media_are_sources(media, source):
    assert content(media) == [{"type": media.kind, "source": source}]


def test_a_document_has_a_title_and_a_cache_mark():
    [block] = content(Media("document", file_id="f", name="n", cache="5m"))
    assert block == {
        "type": "document",
        "source": {"type": "file", "file_id": "f"},
        "title": "n",
        "cache_control": {"type": "ephemeral"},
    }


def test_tools_are_written():
    custom = {"syntax": "lark", "definition": "start: /a/"}
    tools = (
        Tool("f", "does f", SCHEMA, strict=True, cache="5m"),
        Tool("g"),
        Tool("h", custom=True, grammar=custom),
    )
    first, second, third = encode(asking(tools=tools))["tools"]
    assert first == {
        "name": "f",
        "description": "does f",
        "input_schema": SCHEMA,
        "strict": True,
        "cache_control": {"type": "ephemeral"},
    }
    assert second == {"name": "g", "input_schema": {"type": "object", "properties": {}}}
    assert list(third["input_schema"]["properties"]) == ["input"]
    assert "start: /a/" in third["description"]


def test_a_call_of_a_custom_tool_has_its_text_as_input():
    [block] = content(ToolCall("1", "h", '{"a":1}', custom=True), role="assistant")
    assert block["input"] == {"input": '{"a":1}'}


@pytest.mark.parametrize(
    ("choice", "parallel", "written"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("auto"), None, {"type": "auto"}),
        (ToolChoice("none"), False, {"type": "none"}),
        (
            ToolChoice("required"),
            True,
            {"type": "any", "disable_parallel_tool_use": False},
        ),
        (ToolChoice("named", "f"), None, {"type": "tool", "name": "f"}),
    ],
)
def test_the_choice_of_a_tool_is_written(choice, parallel, written):
    options = {"tool_choice": choice, "parallel_tool_calls": parallel}
    assert encode(asking(tools=(Tool("f"),), **options)).get("tool_choice") == written
    assert "tool_choice" not in encode(asking(**options))


def test_an_answer_can_have_a_schema():
    body = encode(asking(response_format=ResponseFormat(SCHEMA, "n", strict=False)))
    assert body["output_config"] == {
        "format": {"type": "json_schema", "schema": SCHEMA}
    }


def test_a_schema_of_an_answer_or_of_a_strict_tool_is_closed():
    loose = {"type": "object", "properties": {}}
    tools = (Tool("f", parameters=loose, strict=True), Tool("g", parameters=loose))
    body = encode(asking(tools=tools, response_format=ResponseFormat(loose)))
    assert body["output_config"]["format"]["schema"] == SCHEMA
    assert [tool["input_schema"] for tool in body["tools"]] == [SCHEMA, loose]


@pytest.mark.parametrize("model", ["claude-3-5-haiku-latest", "MiniMax-M2"])
def test_a_schema_that_is_only_welcome_is_left_out_where_it_may_not_be_known(model):
    wanted = ResponseFormat(SCHEMA, required=False)
    assert encode(asking(response_format=wanted), model) == encode(HELLO, model)
    wanted = ResponseFormat(SCHEMA)
    assert "output_config" in encode(asking(response_format=wanted), model)


def test_any_json_is_left_to_the_prompt():
    encoded = AnthropicMessages().encode_request(
        "claude-x", asking(response_format=ResponseFormat()), False
    )
    assert "output_config" not in orjson.loads(encoded.body)
    assert encoded.dropped == ("response_format",)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (
            ChatRequest((Message("user", (Text("a"), Media("audio", data="AA=="))),)),
            "messages.0.content.1",
        ),
        (
            ChatRequest((Message("user", (Media("document", "image/png", "AA=="),)),)),
            "messages.0.content.0",
        ),
        (
            ChatRequest(
                (
                    Message(
                        "user",
                        (ToolResult("1", (Media("document", "text/plain", "/w=="),)),),
                    ),
                )
            ),
            "messages.0.content.0.content.0",
        ),
    ],
)
def test_what_cannot_be_said_is_refused(request_, field):
    with pytest.raises(UnsupportedFeatureError, match="Anthropic dialect") as caught:
        encode(request_)
    assert caught.value.details[0]["field"] == field


def test_json_without_a_schema_may_be_left_out_if_it_is_only_welcome():
    wanted = ResponseFormat(required=False)
    assert encode(asking(response_format=wanted)) == encode(HELLO)


def thinks(reasoning, model, **options):
    body = encode(asking(reasoning=reasoning, **options), model)
    config = body.get("output_config", {})
    return body.get("thinking"), config.get("effort"), body["max_tokens"]


@pytest.mark.parametrize(
    ("reasoning", "model", "options", "expected"),
    [
        (None, BUDGET, {}, (None, None, 1024)),
        (Reasoning("none"), BUDGET, {}, ({"type": "disabled"}, None, 1024)),
        (Reasoning("none"), "claude-fable-5", {}, (None, None, 1024)),
        # An effort becomes a budget, within half of what the caller allows.
        *(
            (
                Reasoning(effort),
                BUDGET,
                {"max_tokens": 64000},
                ({"type": "enabled", "budget_tokens": budget}, None, 64000),
            )
            for effort, budget in [
                ("minimal", 1024),
                ("low", 2048),
                ("", 8192),
                ("medium", 8192),
                ("high", 16384),
                ("xhigh", 24576),
                ("max", 30720),
            ]
        ),
        (
            Reasoning("high"),
            BUDGET,
            {},
            ({"type": "enabled", "budget_tokens": 16384}, None, 1024 + 16384),
        ),
        (
            Reasoning("high"),
            BUDGET,
            {"max_tokens": 4000},
            ({"type": "enabled", "budget_tokens": 2000}, None, 4000),
        ),
        (
            Reasoning("high"),
            BUDGET,
            {"max_tokens": 100},
            ({"type": "enabled", "budget_tokens": 1024}, None, 1124),
        ),
        # A budget is taken as it is, if it is one.
        (
            Reasoning(budget_tokens=3000, visible=True),
            "MiniMax-M2",
            {"max_tokens": 4000},
            (
                {
                    "type": "enabled",
                    "budget_tokens": 3000,
                    "display": "summarized",
                },
                None,
                4000,
            ),
        ),
        (
            Reasoning(budget_tokens=5),
            BUDGET,
            {"max_tokens": 500},
            ({"type": "enabled", "budget_tokens": 1024}, None, 1524),
        ),
        # Models that decide themselves are told the effort.
        (Reasoning(), NEWEST, {}, ({"type": "adaptive"}, None, 1024 + 8192)),
        (
            Reasoning("xhigh", visible=False),
            NEWEST,
            {"max_tokens": 7},
            ({"type": "adaptive", "display": "omitted"}, "xhigh", 7),
        ),
        (
            Reasoning("xhigh"),
            ADAPTIVE,
            {"max_tokens": 7},
            ({"type": "adaptive"}, "high", 7),
        ),
        (
            Reasoning("minimal"),
            NEWEST,
            {"max_tokens": 7},
            ({"type": "adaptive"}, "low", 7),
        ),
        (
            Reasoning(budget_tokens=10000),
            NEWEST,
            {"max_tokens": 20000},
            ({"type": "adaptive"}, "high", 20000),
        ),
        (
            Reasoning("low", 2000),
            ADAPTIVE,
            {"max_tokens": 20000},
            ({"type": "enabled", "budget_tokens": 2000}, "low", 20000),
        ),
    ],
)
def test_thinking_is_asked_for_as_the_model_wants_it(
    reasoning, model, options, expected
):
    assert thinks(reasoning, model, **options) == expected


@pytest.mark.parametrize(
    ("model", "form"),
    [
        ("claude-3-5-sonnet-20241022", None),
        ("claude-3-haiku-20240307", None),
        ("claude-3-7-sonnet-20250219", "enabled"),
        ("claude-opus-4-20250514", "enabled"),
        ("claude-sonnet-4@20250514", "enabled"),
        ("anthropic/claude-opus-4.1", "enabled"),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "enabled"),
        ("claude-sonnet-4-6", "adaptive"),
        ("claude-opus-4-7", "adaptive"),
        ("claude-fable-5-2", "adaptive"),
        ("claude-mythos-preview", "adaptive"),
        ("glm-4.7", "enabled"),
    ],
)
def test_the_name_of_a_model_tells_how_it_thinks(model, form):
    thinking, _, _ = thinks(Reasoning("high"), model)
    assert (thinking and thinking["type"]) == form
    reports = dropped(asking(reasoning=Reasoning("high")), model)
    assert reports == (() if form else ("reasoning",))


def test_a_model_that_always_thinks_cannot_be_told_not_to():
    request = asking(reasoning=Reasoning("none"))
    assert dropped(request, "claude-fable-5") == ("reasoning",)
    assert dropped(request, "claude-3-haiku-20240307") == ()


@pytest.mark.parametrize(
    ("knob", "kept"),
    [
        ({"temperature": 0.5}, False),
        ({"top_k": 4}, False),
        ({"top_p": 0.5}, False),
        ({"top_p": 0.95}, True),
    ],
)
def test_sampling_and_thinking_do_not_go_together(knob, kept):
    request = asking(reasoning=Reasoning("high"), **knob)
    assert dropped(request, BUDGET) == (() if kept else tuple(knob))
    assert (set(knob) <= encode(request, BUDGET).keys()) == kept


CALL = ToolCall("1", "f", "{}")
RESULT = Message("user", (ToolResult("1", (Text("r"),)),))


@pytest.mark.parametrize(
    ("messages", "options"),
    [
        (HELLO.messages, {"tool_choice": ToolChoice("required")}),
        (HELLO.messages, {"tool_choice": ToolChoice("named", "f")}),
        ((*HELLO.messages, said("assistant", "begun")), {}),
        ((*HELLO.messages, Message("assistant", (CALL,)), RESULT), {}),
        ((*HELLO.messages, Message("assistant", (Thinking("t"), CALL)), RESULT), {}),
    ],
)
def test_thinking_is_given_up_where_it_would_be_refused(messages, options):
    request = ChatRequest(
        messages, tools=(Tool("f"),), reasoning=Reasoning("high"), **options
    )
    assert "thinking" not in encode(request, BUDGET)
    assert dropped(request, BUDGET) == ("reasoning",)


def test_a_system_message_alone_can_be_thought_about():
    request = ChatRequest((said("system", "a"),), reasoning=Reasoning("high"))
    assert "thinking" in encode(request, BUDGET)


def test_thinking_goes_on_after_calls_that_were_thought_about():
    calling = Message("assistant", (Thinking("t", "s"), CALL))
    request = ChatRequest(
        (*HELLO.messages, calling, RESULT), reasoning=Reasoning("high")
    )
    assert "thinking" in encode(request, BUDGET)


def test_a_model_that_decides_itself_needs_no_thoughts_behind_calls():
    request = ChatRequest(
        (*HELLO.messages, Message("assistant", (CALL,)), RESULT),
        reasoning=Reasoning("high"),
    )
    assert encode(request)["thinking"] == {"type": "adaptive"}


IMAGES = canonical.images(cache=canonical.CACHES)
TEXT_DOCUMENTS = st.builds(
    lambda text, name: Media(
        "document", "text/plain", base64.b64encode(text.encode()).decode(), name=name
    ),
    canonical.TEXTS,
    canonical.TEXTS,
)
DOCUMENTS = canonical.documents(cache=canonical.CACHES) | TEXT_DOCUMENTS
TEXTS = canonical.texts(cache=canonical.CACHES)


@st.composite
def requests(draw):
    """Requests as this dialect reads them."""
    system = draw(st.lists(TEXTS, max_size=2).map(tuple))
    turns = draw(
        canonical.conversations(
            user=TEXTS | IMAGES | DOCUMENTS,
            assistant=TEXTS | canonical.signed_thinking(),
            calls=canonical.tool_calls(cache=canonical.CACHES),
            results=TEXTS | IMAGES | DOCUMENTS,
        )
    )
    tools = draw(canonical.tools(cache=canonical.CACHES))
    choice = draw(canonical.TOOL_CHOICES) if tools else None
    can_be_parallel = choice is not None and choice.mode != "none"
    return ChatRequest(
        messages=((Message("system", system), *turns) if system else turns),
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=draw(
            st.sampled_from([None, True, False]) if can_be_parallel else st.none()
        ),
        response_format=draw(
            st.none()
            | st.builds(ResponseFormat, canonical.CLOSED_SCHEMAS, strict=st.none())
        ),
        max_tokens=draw(st.integers(1, 10**5)),
        temperature=draw(st.none() | st.floats(0, 1)),
        top_p=draw(st.none() | st.floats(0, 1)),
        top_k=draw(st.none() | st.integers(0, 500)),
        stop=draw(st.lists(canonical.TEXTS, max_size=2).map(tuple)),
        user=draw(st.just("") | canonical.TEXTS),
        service_tier=draw(st.sampled_from(["", "auto", "default"])),
    )


@given(requests())
def test_what_is_written_is_read(request):
    fields = encode(request)
    AnthropicSurface().check_request(fields)
    assert AnthropicSurface().decode_request(fields) == request


@given(
    st.one_of(
        st.none(),
        st.just(Reasoning("none")),
        st.builds(
            Reasoning,
            st.sampled_from(["", "low", "medium", "high", "max"]),
            st.none() | st.integers(1024, 30000),
            st.sampled_from([None, True, False]),
        ),
    )
)
def test_a_wish_to_think_that_is_written_is_read(reasoning):
    request = asking(reasoning=reasoning, max_tokens=32000)
    assert AnthropicSurface().decode_request(encode(request)) == request
