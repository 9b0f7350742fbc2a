import pytest
from openai import APIConnectionError

LOOKUP = {
    "type": "function",
    "name": "lookup",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
SHELL = {"type": "custom", "name": "shell"}


@pytest.fixture
def stream(openai):
    """The events of a response, with several deltas in a row taken as one."""

    async def stream(given: str = "Say hello", **more):
        request = {"model": "sandbox", "input": given, **more}
        events = await openai.responses.create(**request, stream=True)
        return [event async for event in events]

    return stream


def types_of(events) -> list[str]:
    types = [event.type.removeprefix("response.") for event in events]
    return [
        type_
        for index, type_ in enumerate(types)
        if not (type_.endswith(".delta") and types[index - 1] == type_)
    ]


async def test_text(openai, stream):
    events = await stream()
    plain = await openai.responses.create(model="sandbox", input="Say hello")
    assert types_of(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == plain.output_text == events[-1].response.output_text
    assert events[-1].response.usage == plain.usage
    assert (events[0].response.status, events[0].response.output) == ("in_progress", [])


async def test_thoughts(stream):
    events = await stream(reasoning={"effort": "low", "summary": "auto"})
    assert types_of(events)[2:9] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
    ]
    deltas = [e.delta for e in events if e.type.endswith("summary_text.delta")]
    [summary] = events[-1].response.output[0].summary
    assert "".join(deltas) == summary.text


async def test_calls(stream):
    events = await stream("Call lookup and shell", tools=[LOOKUP, SHELL])
    assert types_of(events)[2:-1] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
    ]
    function, custom = events[-1].response.output
    name = "response.function_call_arguments"
    deltas = [e.delta for e in events if e.type == f"{name}.delta"]
    done = [e.arguments for e in events if e.type == f"{name}.done"]
    assert "".join(deltas) == done[0] == function.arguments
    assert [e.input for e in events if e.type.endswith("input.done")] == [custom.input]
    places = {event.item_id for event in events if event.type.endswith("delta")}
    assert places == {function.id, custom.id}


async def test_one_model_sends_arguments_in_one_piece(stream):
    tools = [LOOKUP, SHELL]
    events = await stream("Call lookup and shell", model="done-only", tools=tools)
    assert not [event for event in events if event.type.endswith(".delta")]
    done = [e for e in events if e.type == "response.function_call_arguments.done"]
    assert done[0].arguments == events[-1].response.output[0].arguments != ""


async def test_a_refusal(stream):
    events = await stream(model="refusal")
    assert types_of(events)[4:6] == ["refusal.delta", "refusal.done"]


async def test_log_probabilities_come_with_the_text(stream):
    events = await stream(include=["message.output_text.logprobs"], top_logprobs=1)
    deltas = [e for e in events if e.type == "response.output_text.delta"]
    assert [e.logprobs[0].token for e in deltas] == [e.delta for e in deltas]


@pytest.mark.parametrize(
    ("model", "last"),
    [
        ("chunks-50", "incomplete"),
        ("content-filter", "incomplete"),
        ("fault-response-failed", "failed"),
        ("fault-mid-stream-error", "error"),
        ("fault-first-event-error", "error"),
        ("fault-no-finish", "output_item.done"),
        ("no-done", "output_item.done"),
    ],
)
async def test_last_events(stream, model, last):
    events = await stream(model=model, max_output_tokens=20)
    assert types_of(events)[-1] == last
    final = [e for e in types_of(events) if e in ("completed", "incomplete", "failed")]
    assert final == [last] * (last in ("incomplete", "failed"))


async def test_a_failure_has_a_reason(stream):
    failed = (await stream(model="fault-response-failed"))[-1].response
    assert (failed.status, failed.error.code) == ("failed", "server_error")


@pytest.mark.parametrize("model", ["fault-cut", "fault-stalled"])
async def test_broken_streams(openai, model):
    received = []

    async def read():
        client = openai.with_options(timeout=0.2)
        events = await client.responses.create(model=model, input="x", stream=True)
        async for event in events:
            received.append(event.type)

    with pytest.raises(APIConnectionError):
        await read()
    assert "response.completed" not in received
    assert "response.created" in received
