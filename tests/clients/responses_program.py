"""A program on OpenAI's responses."""

import json
from collections import defaultdict
from typing import Any

import openai
from openai.types.responses import Response
from tests.clients.program import (
    BrokenOffError,
    Call,
    Fields,
    Program,
    Tokens,
    Told,
    essence,
)

_ENDS = ("response.completed", "response.incomplete")
# Which part of an item the deltas of an event add to.
_DELTAS = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "summary",
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
}


class ResponsesProgram(Program):
    dialect = "openai_responses"
    bad_request = openai.BadRequestError

    def code_of(self, error: openai.BadRequestError) -> str | None:
        return error.code

    def plain(self, fields: Fields) -> Told:
        return _told(self.sdk.responses.create(**fields))

    def stream(self, fields: Fields) -> Told:
        heard: dict[tuple[str, str], str] = defaultdict(str)
        kinds: list[str] = []
        numbers = []
        with self.sdk.responses.create(**{**fields, "stream": True}) as events:
            for event in events:
                numbers.append(event.sequence_number)
                kinds.append(event.type)
                if event.type in _DELTAS:
                    heard[event.item_id, _DELTAS[event.type]] += event.delta
                if event.type in _ENDS:
                    response = event.response
        assert kinds[:2] == ["response.created", "response.in_progress"]
        if kinds[-1] == "response.failed":
            raise BrokenOffError
        assert kinds[-1] in _ENDS
        assert numbers == list(range(len(numbers)))
        assert {key: text for key, text in heard.items() if text} == _said(response)
        return _told(response, sum(kind in _DELTAS for kind in kinds))

    def says(self, *content: Any) -> dict[str, Any]:
        if isinstance(content[0], str):
            return {"input": [{"role": "user", "content": content[0]}]}
        return {"input": [{"role": "user", "content": list(content)}]}

    def goes_on(self, fields: Fields, told: Told, *turns: Any) -> dict[str, Any]:
        return {**fields, "input": [*fields["input"], *told.turn, *turns]}

    def result(self, call: Call, text: str) -> Any:
        kind = "function_call_output"
        if isinstance(call.arguments, str):
            kind = "custom_tool_call_output"
        return {"type": kind, "call_id": call.id, "output": text}


def _said(response: Response) -> dict[tuple[str, str], str]:
    """What the deltas of the stream must have added up to."""
    said: dict[tuple[str, str], str] = {}
    for item in response.output:
        match item.type:
            case "message":
                for part in item.content:
                    name = "text" if part.type == "output_text" else "refusal"
                    said[item.id, name] = getattr(part, name)
            case "reasoning":
                said[item.id, "summary"] = "".join(part.text for part in item.summary)
            case "function_call":
                said[item.id, "arguments"] = item.arguments
            case "custom_tool_call":
                said[item.id, "input"] = item.input
    return {key: text for key, text in said.items() if text}


def _told(response: Response, deltas: int = 0) -> Told:
    reason = response.incomplete_details and response.incomplete_details.reason
    parts = [
        part
        for item in response.output
        if item.type == "message"
        for part in item.content
    ]
    usage = response.usage
    return Told(
        ending=reason or response.status,
        turn=[item.model_dump(exclude_none=True) for item in response.output],
        whole=essence(response.model_dump()),
        text=response.output_text,
        refusal="".join(part.refusal for part in parts if part.type == "refusal"),
        refused=reason == "content_filter" or any(p.type == "refusal" for p in parts),
        thoughts="".join(
            part.text
            for item in response.output
            if item.type == "reasoning"
            for part in item.summary
        ),
        calls=[_call(item) for item in response.output if item.type.endswith("call")],
        tokens=usage
        and Tokens(
            usage.input_tokens,
            usage.output_tokens,
            usage.input_tokens_details.cached_tokens,
            usage.output_tokens_details.reasoning_tokens,
        ),
        logprobs=[
            each
            for part in parts
            if part.type == "output_text"
            for each in part.logprobs or ()
        ],
        deltas=deltas,
    )


def _call(item: Any) -> Call:
    if item.type == "custom_tool_call":
        return Call(item.call_id, item.name, item.input)
    return Call(item.call_id, item.name, json.loads(item.arguments))
