"""How requests are written for the Gemini API."""

import json
from pathlib import Path

import pytest

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
from llm_proxy.wire.gemini import Gemini

FIXTURES = Path(__file__).parent / "fixtures" / "gemini"
HELLO = (said("user", "Hello"),)
GEMINI_2, GEMINI_3 = "gemini-2.5-flash", "gemini-3.1-pro-preview"
TOOL = Tool("get_time")
SCHEMA = {"type": "object"}
IMAGE = Media("image", "image/png", data="AA==")


def encode(request, model=GEMINI_3):
    return Gemini().encode_request(model, request, False)


def body(request, model=GEMINI_3):
    return json.loads(encode(request, model).body)


def config(model=GEMINI_3, **fields):
    return body(ChatRequest(HELLO, **fields), model).get("generationConfig", {})


def conversation(*messages):
    return body(ChatRequest(messages))["contents"]


def refused(request, model=GEMINI_3):
    """The field that is refused."""
    with pytest.raises(InvalidInputError) as caught:
        encode(request, model)
    return type(caught.value), caught.value.details[0]["field"]


def test_a_bare_prompt_is_one_turn():
    assert encode(ChatRequest(HELLO)) == (
        b'{"contents":[{"role":"user","parts":[{"text":"Hello"}]}]}',
        (),
    )


def test_everything_has_its_place():
    parameters = {
        "type": "object",
        "properties": {"location": {"type": "string"}},
        "additionalProperties": False,
    }
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}
    request = ChatRequest(
        messages=(
            said("system", "Be brief."),
            Message(
                "user",
                (
                    Text("What is this, and how warm is it there?"),
                    Media("image", "image/png", data="iVBORw0KGgo="),
                    Media("image", url="https://example.com/tower.jpg"),
                    Media("document", "application/pdf", url="gs://bucket/plan.pdf"),
                    Media("document", file_id="files/abc-123"),
                ),
            ),
            said("developer", "In English."),
            Message(
                "assistant",
                (
                    Thinking("A tower.", "gemini:c2lnbmVk"),
                    Text("I look it up."),
                    ToolCall(
                        "call_1",
                        "get_temperature",
                        '{"location": "Paris"}',
                        signature="Y2FsbA==",
                    ),
                    ToolCall("call_2", "run_code", "print(1)", custom=True),
                ),
            ),
            Message(
                "user",
                (
                    ToolResult("call_1", (Text("21 °C"), IMAGE)),
                    ToolResult("call_2", (Text("no shell"),), is_error=True),
                    Text("Go on."),
                ),
            ),
        ),
        tools=(
            Tool("get_temperature", "Measures.", parameters),
            Tool("run_code", "Runs.", custom=True, grammar=grammar),
            TOOL,
        ),
        tool_choice=ToolChoice("named", "get_temperature"),
        response_format=ResponseFormat(
            {"type": "object", "properties": {"t": {"type": "number"}}}
        ),
        reasoning=Reasoning("high", visible=True),
        max_tokens=500,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop=("END",),
        seed=7,
        frequency_penalty=0.1,
        presence_penalty=-0.1,
        logprobs=3,
        service_tier="flex",
    )
    encoded = encode(request)
    expected = json.loads((FIXTURES / "request.json").read_bytes())
    assert json.loads(encoded.body) == expected
    assert encoded.dropped == ()


def test_knobs_that_the_api_lacks_are_dropped_by_name():
    request = ChatRequest(
        (
            Message(
                "user",
                (Text("a", cache="5m"), Media("image", url="https://a", detail="low")),
                "Al",
            ),
        ),
        tools=(Tool("f", strict=True),),
        parallel_tool_calls=False,
        seed=2**40,
        logit_bias={"5": 1.0},
        user="u",
        service_tier="scale",
        verbosity="low",
    )
    assert encode(request).dropped == (
        "cache",
        "detail",
        "logit_bias",
        "name",
        "parallel_tool_calls",
        "seed",
        "service_tier",
        "strict",
        "user",
        "verbosity",
    )


class TestPath:
    @pytest.mark.parametrize(
        ("model", "path"),
        [
            ("gemini-2.5-flash", "/models/gemini-2.5-flash:generateContent"),
            ("models/gemini-2.5-flash", "/models/gemini-2.5-flash:generateContent"),
            ("tunedModels/mine-1", "/tunedModels/mine-1:generateContent"),
            (
                "../../v1/x?key=1#y",
                "/models/..%2F..%2Fv1%2Fx%3Fkey%3D1%23y:generateContent",
            ),
            ("tunedModels/../x", "/tunedModels/..%2Fx:generateContent"),
            ("x:countTokens", "/models/x%3AcountTokens:generateContent"),
        ],
    )
    def test_it_names_the_model_and_nothing_else(self, model, path):
        assert Gemini().path(model, False) == path

    def test_streams_are_asked_for_as_events(self):
        path = "/models/m:streamGenerateContent?alt=sse"
        assert Gemini().path("m", True) == path


class TestTurns:
    def test_neighbours_of_one_role_are_one_turn(self):
        assert conversation(said("user", "a"), said("user", "b")) == [
            {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}
        ]

    def test_instructions_alone_are_said_by_the_user(self):
        request = ChatRequest((said("system", "Tell a joke."),))
        assert body(request) == {
            "contents": [{"role": "user", "parts": [{"text": "Tell a joke."}]}]
        }

    @pytest.mark.parametrize(
        ("arguments", "args"),
        [
            ('{"n": 12345678901234567890}', {"n": 12345678901234567890}),
            ("", {}),
            ('{"cut', {"input": '{"cut'}),
            ("[1]", {"input": "[1]"}),
        ],
    )
    def test_arguments_survive(self, arguments, args):
        turns = conversation(
            *HELLO, Message("assistant", (ToolCall("c", "f", arguments),))
        )
        assert turns[1]["parts"][0]["functionCall"]["args"] == args

    @pytest.mark.parametrize(
        ("thinking", "parts"),
        [
            (Thinking("hm"), [{"text": "hm", "thought": True}]),
            (Thinking("", "gemini:AA=="), [{"text": "", "thoughtSignature": "AA=="}]),
            # Anthropic's signature, OpenAI's encrypted thoughts
            (Thinking("hm", "EroBCkYI"), [{"text": "hm", "thought": True}]),
            (Thinking("", "EroBCkYI"), []),
            (Thinking(encrypted="gAAAAAB"), []),
        ],
    )
    def test_thoughts_carry_only_signatures_of_google(self, thinking, parts):
        turn = Message("assistant", (thinking, Text("a")))
        assert conversation(*HELLO, turn)[1]["parts"] == [*parts, {"text": "a"}]


class TestCallsWithoutSignature:
    OLD = ToolCall("a", "f", "{}")
    STEP = (
        Message("assistant", (OLD, ToolCall("b", "f", "{}"))),
        Message("user", (ToolResult("a", (Text("1"),)), ToolResult("b", (Text("2"),)))),
    )

    def signatures(self, *messages, model=GEMINI_3):
        contents = body(ChatRequest(messages), model)["contents"]
        return [
            part.get("thoughtSignature")
            for content in contents
            for part in content["parts"]
            if "functionCall" in part
        ]

    def test_the_first_of_each_step_of_the_current_turn_says_so(self):
        skip = "skip_thought_signature_validator"
        assert self.signatures(*HELLO, *self.STEP, *self.STEP) == [
            *(skip, None),
            *(skip, None),
        ]

    def test_turns_before_are_left_alone(self):
        assert self.signatures(*HELLO, *self.STEP, said("assistant", "ok"), *HELLO) == [
            None,
            None,
        ]

    def test_a_signature_stays(self):
        signed = Message("assistant", (ToolCall("a", "f", "{}", signature="AA=="),))
        assert self.signatures(*HELLO, signed) == ["AA=="]

    def test_older_models_do_not_ask(self):
        assert self.signatures(*HELLO, *self.STEP, model=GEMINI_2) == [None, None]


class TestToolChoice:
    @pytest.mark.parametrize(
        ("choice", "expected"),
        [
            (ToolChoice("auto"), {"mode": "AUTO"}),
            (ToolChoice("none"), {"mode": "NONE"}),
            (ToolChoice("required"), {"mode": "ANY"}),
            (
                ToolChoice("named", "f"),
                {"mode": "ANY", "allowedFunctionNames": ["f"]},
            ),
        ],
    )
    def test_each_has_its_mode(self, choice, expected):
        request = ChatRequest(HELLO, tools=(TOOL,), tool_choice=choice)
        assert body(request)["toolConfig"] == {"functionCallingConfig": expected}

    def test_without_tools_there_is_none(self):
        request = ChatRequest(HELLO, tool_choice=ToolChoice("auto"))
        assert "toolConfig" not in body(request)


class TestThinking:
    @pytest.mark.parametrize(
        ("model", "effort", "expected"),
        [
            ("gemini-3-flash-preview", "none", {"thinkingLevel": "minimal"}),
            ("gemini-3.1-flash-lite", "minimal", {"thinkingLevel": "minimal"}),
            ("gemini-3.8-flash", "minimal", {"thinkingLevel": "low"}),
            ("gemini-3.1-pro-preview", "none", {"thinkingLevel": "low"}),
            ("gemini-3.1-pro-preview", "low", {"thinkingLevel": "low"}),
            ("gemini-3.1-pro-preview", "medium", {"thinkingLevel": "medium"}),
            ("gemini-flash-latest", "max", {"thinkingLevel": "high"}),
            ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
            ("gemini-2.5-flash", "minimal", {"thinkingBudget": 1024}),
            ("gemini-2.5-flash", "medium", {"thinkingBudget": 8192}),
            ("gemini-2.5-flash", "max", {"thinkingBudget": 24576}),
            ("models/gemini-2.5-pro", "none", {"thinkingBudget": 128}),
            ("gemini-2.5-pro", "xhigh", {"thinkingBudget": 32768}),
            ("gemini-2.5-flash", "", {}),
        ],
    )
    def test_an_effort_is_a_level_or_a_budget(self, model, effort, expected):
        thinking = config(model, reasoning=Reasoning(effort)).get("thinkingConfig", {})
        assert thinking == expected

    @pytest.mark.parametrize(
        ("model", "budget", "expected"),
        [
            ("gemini-2.5-flash", 2000, {"thinkingBudget": 2000}),
            ("gemini-2.5-flash", 50000, {"thinkingBudget": 24576}),
            ("gemini-2.5-flash-lite", 100, {"thinkingBudget": 512}),
            ("gemini-2.5-flash-lite", 0, {"thinkingBudget": 0}),
            ("gemini-3-flash", 0, {"thinkingLevel": "minimal"}),
            ("gemini-3-flash", 1024, {"thinkingLevel": "low"}),
            ("gemini-3-flash", 8000, {"thinkingLevel": "medium"}),
            ("gemini-3-flash", 31999, {"thinkingLevel": "high"}),
        ],
    )
    def test_a_budget_is_kept_as_well_as_can_be(self, model, budget, expected):
        reasoning = Reasoning(budget_tokens=budget)
        assert config(model, reasoning=reasoning)["thinkingConfig"] == expected

    def test_thoughts_are_only_asked_for_where_there_are_some(self):
        shown = config(GEMINI_2, reasoning=Reasoning(visible=True))
        off = config(GEMINI_2, reasoning=Reasoning("none", visible=True))
        assert shown["thinkingConfig"] == {"includeThoughts": True}
        assert off["thinkingConfig"] == {"thinkingBudget": 0}

    @pytest.mark.parametrize(
        "model", ["gemini-2.0-flash", "gemma-3-27b-it", "gemini-3.1-flash-image"]
    )
    def test_models_that_cannot_be_told_are_not(self, model):
        high = encode(ChatRequest(HELLO, reasoning=Reasoning("high")), model)
        none = encode(ChatRequest(HELLO, reasoning=Reasoning("none")), model)
        assert (high.body, high.dropped) == (none.body, ("reasoning",))
        assert none.dropped == ()


class TestFormat:
    def test_any_object_has_no_schema(self):
        assert config(response_format=ResponseFormat()) == {
            "responseMimeType": "application/json"
        }

    def test_together_with_tools_it_needs_gemini_3(self):
        request = ChatRequest(HELLO, (TOOL,), response_format=ResponseFormat(SCHEMA))
        assert refused(request, GEMINI_2) == (
            UnsupportedFeatureError,
            "response_format",
        )
        assert "generationConfig" in body(request, GEMINI_3)

    def test_what_is_not_required_is_left_out(self):
        wanted = ResponseFormat(SCHEMA, required=False)
        request = ChatRequest(HELLO, (TOOL,), response_format=wanted)
        assert "generationConfig" not in body(request, GEMINI_2)


def test_probabilities_of_the_chosen_tokens_alone():
    assert config(logprobs=0) == {"responseLogprobs": True}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("default", "standard"), ("priority", "priority"), ("auto", None), ("", None)],
)
def test_service_tiers_are_translated(theirs, ours):
    encoded = encode(ChatRequest(HELLO, service_tier=theirs))
    assert json.loads(encoded.body).get("serviceTier") == ours
    assert encoded.dropped == ()


CALLED = (*HELLO, Message("assistant", (ToolCall("c", "f", "{}"),)))


def answered(*content):
    return ChatRequest((*CALLED, Message("user", (ToolResult("c", content),))))


@pytest.mark.parametrize(
    ("request_", "model", "kind", "field"),
    [
        (
            ChatRequest((Message("system", (IMAGE,)), *HELLO)),
            GEMINI_3,
            UnsupportedFeatureError,
            "messages.0",
        ),
        (
            ChatRequest((Message("user", (Media("image", url="ftp://a"),)),)),
            GEMINI_3,
            UnsupportedFeatureError,
            "messages.0.content.0.url",
        ),
        (
            ChatRequest(
                (
                    Message(
                        "user",
                        (Text("a"), Media("audio", data="AA==")),
                    ),
                )
            ),
            GEMINI_3,
            InvalidInputError,
            "messages.0.content.1.media_type",
        ),
        (
            answered(IMAGE),
            GEMINI_2,
            UnsupportedFeatureError,
            "messages.2.content.0.content",
        ),
        (
            answered(Media("image", url="https://a")),
            GEMINI_3,
            UnsupportedFeatureError,
            "messages.2.content.0.content",
        ),
        (
            ChatRequest((Message("user", (ToolResult("lost", ()),)),)),
            GEMINI_3,
            InvalidInputError,
            "messages.0.content.0.call_id",
        ),
        (ChatRequest(()), GEMINI_3, InvalidInputError, "messages"),
        (
            ChatRequest(HELLO, stop=("a", "b", "c", "d", "e", "f")),
            GEMINI_3,
            UnsupportedFeatureError,
            "stop",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_said_is_refused_by_its_place(request_, model, kind, field):
    assert refused(request_, model) == (kind, field)
