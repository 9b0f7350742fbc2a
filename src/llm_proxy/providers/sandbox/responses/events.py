"""The output of a response as a stream of events, in the vendor's order."""

from collections.abc import Iterator
from typing import Any

from llm_proxy.providers.sandbox.conversation import Answer
from llm_proxy.providers.sandbox.responses.output import logprobs_of

Event = dict[str, Any]


def output_events(
    answer: Answer, output: list[dict[str, Any]], *, whole_arguments: bool
) -> Iterator[Event]:
    """Write the events of all items, without their sequence numbers.

    Args:
        answer: Knows how the texts are cut.
        output: The items of the answer, complete.
        whole_arguments: Whether the arguments of calls come in one piece, and only in
            the ``.done`` event.

    Yields:
        From the first ``response.output_item.added`` to the last ``.done``.
    """
    calls = iter(answer.calls)
    for index, item in enumerate(output):
        place = {"output_index": index, "item_id": item["id"]}
        yield _item("added", index, _empty(item))
        if item["type"] == "reasoning":
            yield from _reasoning(answer, item, place)
        elif item["type"] == "message":
            yield from _message(answer, item, place)
        else:
            pieces = () if whole_arguments else next(calls).pieces
            yield from _call(pieces, item, place)
        yield _item("done", index, item)


def _item(what: str, index: int, item: Event) -> Event:
    type_ = f"response.output_item.{what}"
    return {"type": type_, "output_index": index, "item": item}


def _empty(item: Event) -> Event:
    """Make of a complete item what it is before its first piece."""
    empty: Event = {"status": "in_progress"} if "status" in item else {}
    for name, nothing in (
        ("content", []),
        ("summary", []),
        ("arguments", ""),
        ("input", ""),
    ):
        if name in item:
            empty[name] = nothing
    return item | empty


def _reasoning(answer: Answer, item: Event, place: Event) -> Iterator[Event]:
    name = "response.reasoning_summary"
    for index, part in enumerate(item["summary"]):
        place = place | {"summary_index": index}
        yield {"type": f"{name}_part.added", "part": part | {"text": ""}} | place
        for piece in answer.thinking.pieces if answer.thinking else ():
            yield {"type": f"{name}_text.delta", "delta": piece} | place
        yield {"type": f"{name}_text.done", "text": part["text"]} | place
        yield {"type": f"{name}_part.done", "part": part} | place


def _message(answer: Answer, item: Event, place: Event) -> Iterator[Event]:
    place = place | {"content_index": 0}
    [part] = item["content"]
    refused = part["type"] == "refusal"
    key = "refusal" if refused else "text"
    name = "response.refusal" if refused else "response.output_text"
    empty = part | {key: ""} | ({} if refused else {"logprobs": []})
    yield {"type": "response.content_part.added", "part": empty} | place
    for piece in answer.pieces or ():
        logprobs = _logprobs(refused, [piece], answer)
        yield {"type": f"{name}.delta", "delta": piece} | logprobs | place
    logprobs = _logprobs(refused, list(answer.pieces or ()), answer)
    yield {"type": f"{name}.done", key: part[key]} | logprobs | place
    yield {"type": "response.content_part.done", "part": part} | place


def _logprobs(refused: bool, pieces: list[str], answer: Answer) -> Event:
    if refused:
        return {}
    return {"logprobs": logprobs_of(pieces, answer.top_logprobs)}


def _call(pieces: tuple[str, ...], item: Event, place: Event) -> Iterator[Event]:
    if item["type"] == "function_call":
        name, key = "response.function_call_arguments", "arguments"
    else:
        name, key = "response.custom_tool_call_input", "input"
    for piece in pieces:
        yield {"type": f"{name}.delta", "delta": piece} | place
    yield {"type": f"{name}.done", key: item[key]} | place
