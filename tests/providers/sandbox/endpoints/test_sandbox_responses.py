import json

import pytest
from openai import APIError, BadRequestError, InternalServerError

LOOKUP = {
    "type": "function",
    "name": "lookup",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
SHELL = {"type": "custom", "name": "shell"}
MOOD = {
    "type": "object",
    "properties": {"mood": {"enum": ["good", "bad"]}},
    "required": ["mood"],
    "additionalProperties": False,
}
PIXEL = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture
def respond(openai):
    """Asks for a response; the request is right unless told otherwise."""

    async def respond(given: object = "Say hello", **more):
        request = {"model": "sandbox", "input": given, **more}
        return await openai.responses.create(**request)

    return respond


def message(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


async def test_answers_with_a_quote_and_exact_usage(respond):
    answer = await respond(instructions="Be kind")
    assert answer.output_text == 'The sandbox read: "Say hello"'
    assert (answer.object, answer.status) == ("response", "completed")
    assert (answer.error, answer.incomplete_details) == (None, None)
    assert answer.usage.input_tokens == 4
    assert answer.usage.output_tokens == 5
    assert answer.usage.total_tokens == 9
    [item] = answer.output
    assert (item.type, item.role, item.status) == ("message", "assistant", "completed")


async def test_repeats_what_was_asked(respond):
    asked = {
        "instructions": "Be kind",
        "max_output_tokens": 50,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "temperature": 0.5,
        "tools": [LOOKUP, SHELL],
        "tool_choice": {"type": "function", "name": "lookup"},
        "reasoning": {"effort": "low", "summary": None},
        "store": False,
        "user": "ada",
    }
    answer = (await respond(**asked)).to_dict()
    assert {name: answer[name] for name in asked} == asked
    assert answer["text"] == {"format": {"type": "text"}, "verbosity": "medium"}
    assert answer["top_p"] == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([message("Say hello")], "Say hello"),
        ([message("one"), {"role": "assistant", "content": "two"}], "one"),
        ([{"role": "developer", "content": "do it"}], "do it"),
        (
            [
                {
                    "type": "message",
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "see"},
                        {"type": "input_image", "image_url": PIXEL, "detail": "low"},
                        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
                    ],
                }
            ],
            "see",
        ),
    ],
)
async def test_reads_items(respond, given, words):
    assert f'"{words}"' in (await respond(given)).output_text


async def test_a_schema_shapes_the_text(respond):
    form = {"type": "json_schema", "name": "mood", "schema": MOOD, "strict": True}
    answer = await respond("A bad mood", text={"format": form})
    assert json.loads(answer.output_text) == {"mood": "bad"}


async def test_thinks_in_an_item_of_its_own(respond):
    thinking = {"effort": "low", "summary": "auto"}
    answer = await respond(
        reasoning=thinking, include=["reasoning.encrypted_content"], store=False
    )
    thought, said = answer.output
    assert (thought.type, said.type) == ("reasoning", "message")
    [summary] = thought.summary
    assert summary.text
    tokens = answer.usage.output_tokens_details.reasoning_tokens
    assert tokens == len(summary.text.split())
    again = [message("Say hello"), thought.to_dict(), said.to_dict(), message("More")]
    assert (await respond(again)).output_text == 'The sandbox read: "More"'


async def test_keeps_thoughts_to_itself(respond):
    [thought, _] = (await respond(reasoning={"effort": "low"})).output
    assert thought.summary == []
    assert thought.encrypted_content is None


async def test_refuses_thoughts_it_never_had(respond):
    thought = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "made up"}],
        "encrypted_content": "made up",
    }
    with pytest.raises(BadRequestError) as caught:
        await respond([thought, message("Go on")])
    assert caught.value.code == "invalid_encrypted_content"


async def test_calls_the_tools_of_a_namespace(respond):
    weather = {"type": "namespace", "name": "weather", "description": "Of today"}
    tools = [weather | {"tools": [LOOKUP, SHELL]}]
    called = (await respond("lookup and shell", tools=tools)).output[-2:]
    assert [call.type for call in called] == ["function_call", "custom_tool_call"]
    assert [call.name for call in called] == ["lookup", "shell"]
    assert {call.namespace for call in called} == {"weather"}
    items = [message("lookup and shell"), *(call.to_dict() for call in called)]
    for call in called:
        type_ = f"{call.type.removesuffix('_call')}_call_output"
        items.append({"type": type_, "call_id": call.call_id, "output": "Sunny"})
    assert "Sunny" in (await respond(items, tools=tools)).output_text


async def test_refuses_a_loose_strict_tool_in_a_namespace(respond):
    weather = {"type": "namespace", "name": "weather", "description": "Of today"}
    tools = [weather | {"tools": [SHELL, LOOKUP | {"strict": True}]}]
    with pytest.raises(BadRequestError) as caught:
        await respond(tools=tools)
    assert caught.value.param == "tools[0].tools[1].parameters"


@pytest.mark.parametrize("type_", ["web_search", "web_search_preview"])
async def test_never_searches_the_web(respond, type_):
    search = {"type": type_, "search_context_size": "low"}
    answer = await respond("Use web_search or any tool", tools=[search])
    assert [item.type for item in answer.output] == ["message"]
    answer = await respond("Use a tool", tools=[search, LOOKUP])
    assert answer.output[-1].name == "lookup"


async def test_calls_tools_and_reads_their_results(respond):
    tools = {"tools": [LOOKUP, SHELL]}
    asked = await respond("Call lookup and shell", **tools)
    function, custom = asked.output
    assert (function.type, function.name) == ("function_call", "lookup")
    assert "city" in json.loads(function.arguments)
    assert (custom.type, custom.name) == ("custom_tool_call", "shell")
    results = [
        {
            "type": "function_call_output",
            "call_id": function.call_id,
            "output": "rain",
        },
        {
            "type": "custom_tool_call_output",
            "call_id": custom.call_id,
            "output": [{"type": "input_text", "text": "done"}],
        },
    ]
    whole = [message("Call both"), function.to_dict(), custom.to_dict(), *results]
    by_hand = await respond(whole, **tools)
    stored = await respond(results, previous_response_id=asked.id, **tools)
    for answer in (by_hand, stored):
        assert "rain" in answer.output_text
        assert "done" in answer.output_text


@pytest.mark.parametrize(
    ("more", "types"),
    [
        ({"tool_choice": "none"}, ["message"]),
        ({"tool_choice": "required"}, ["function_call"]),
        ({"tool_choice": {"type": "custom", "name": "shell"}}, ["custom_tool_call"]),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "required",
                    "tools": [{"type": "custom", "name": "shell"}],
                }
            },
            ["custom_tool_call"],
        ),
    ],
)
async def test_obeys_the_choice_of_tools(respond, more, types):
    answer = await respond("Hello", tools=[LOOKUP, SHELL], **more)
    assert [item.type for item in answer.output] == types


@pytest.mark.parametrize(
    ("model", "status", "reason"),
    [
        ("chunks-50", "incomplete", "max_output_tokens"),
        ("length", "incomplete", "max_output_tokens"),
        ("content-filter", "incomplete", "content_filter"),
        ("refusal", "completed", None),
        ("tool-calls", "completed", None),
        ("fault-no-finish", "in_progress", None),
        ("fault-response-failed", "failed", None),
    ],
)
async def test_endings(respond, model, status, reason):
    answer = await respond(model=model, max_output_tokens=20)
    details = answer.incomplete_details
    assert answer.status == status
    assert (details and details.reason) == reason
    assert (answer.error is not None) == (status == "failed")


async def test_a_refusal_is_a_part_of_its_own(respond):
    [item] = (await respond(model="refusal")).output
    [part] = item.content
    assert (part.type, part.refusal[:9]) == ("refusal", "I'm sorry")


async def test_reports_log_probabilities(respond):
    answer = await respond(include=["message.output_text.logprobs"], top_logprobs=2)
    [part] = answer.output[0].content
    assert "".join(token.token for token in part.logprobs) == part.text
    assert {len(token.top_logprobs) for token in part.logprobs} == {2}


WRONG = {
    "no input": ({"input": ...}, "input"),
    "no items": ({"input": []}, "input"),
    "item": ({"input": [5]}, "input[0]"),
    "type": ({"input": [{"type": "robot"}]}, "input[0].type"),
    "role": ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
    "content": ({"input": [{"role": "user"}]}, "input[0].content"),
    "unknown part": (
        {"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
        "input[0].content[0].type",
    ),
    "image": (
        {
            "input": [
                {
                    "role": "user",
                    "content": [{"type": "input_image", "image_url": "a.png"}],
                }
            ]
        },
        "input[0].content[0].image_url",
    ),
    "part of the model": (
        {
            "input": [
                {"role": "user", "content": [{"type": "output_text", "text": "x"}]}
            ]
        },
        "input[0].content",
    ),
    "result": (
        {"input": [{"type": "function_call_output", "call_id": "x", "output": "y"}]},
        "input",
    ),
    "call": (
        {
            "input": [
                {
                    "type": "function_call",
                    "call_id": "x",
                    "name": "y",
                    "arguments": "{}",
                }
            ]
        },
        "input",
    ),
    "tool of the vendor": ({"tools": [{"type": "file_search"}]}, "tools[0].type"),
    "tool of chat": (
        {"tools": [{"type": "function", "function": {"name": "x"}}]},
        "tools[0].name",
    ),
    "loose tool": ({"tools": [{**LOOKUP, "strict": True}]}, "tools[0].parameters"),
    "choice": ({"tool_choice": {"type": "function", "name": "x"}}, "tool_choice"),
    "tokens": ({"max_output_tokens": 15}, "max_output_tokens"),
    "format": ({"text": {"format": {"type": "json_schema"}}}, "text.format"),
    "background": ({"background": True, "store": False}, None),
    "parameter of chat": ({"max_tokens": 5}, None),
}


@pytest.mark.parametrize("name", WRONG)
async def test_refuses_wrong_requests(client, name):
    changes, param = WRONG[name]
    body = {"model": "sandbox", "input": "x", **changes}
    response = await client.post(
        "/responses",
        headers={"authorization": "Bearer any"},
        json={name: value for name, value in body.items() if value is not ...},
    )
    error = response.json()["error"]
    assert response.status_code == 400
    assert error["type"] == "invalid_request_error"
    assert (error["param"] or None) == param


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"metadata": NaN}', b"1e999"])
async def test_refuses_what_is_no_json_object(client, body):
    response = await client.post(
        "/responses", content=body, headers={"authorization": "Bearer any"}
    )
    assert response.status_code == 400


async def test_counts_input_tokens(openai, respond):
    count = await openai.responses.input_tokens.count(
        model="sandbox", input="Say hello", instructions="Be kind"
    )
    assert (count.input_tokens, count.object) == (4, "response.input_tokens")


@pytest.mark.parametrize(
    ("model", "error"), [("fault-503", InternalServerError), ("fault-hang", APIError)]
)
async def test_fails_as_other_endpoints_do(openai, model, error):
    with pytest.raises(error):
        await openai.with_options(timeout=0.2).responses.create(model=model, input="x")
