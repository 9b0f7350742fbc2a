"""A program on OpenAI's chat completions."""

import json
from typing import Any

import openai
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from tests.clients.program import Call, Fields, Program, Tokens, Told, essence

_LEFTOVERS = {"parsed": True, "tool_calls": {"__all__": {"index"}}}


class ChatProgram(Program):
    dialect = "openai_chat"
    bad_request = openai.BadRequestError

    def code_of(self, error: openai.BadRequestError) -> str | None:
        return error.code

    def plain(self, fields: Fields) -> Told:
        return _told(self.sdk.chat.completions.create(**fields))

    def stream(self, fields: Fields) -> Told:
        state = ChatCompletionStreamState()
        deltas = 0
        options = {"stream": True, "stream_options": {"include_usage": True}}
        with self.sdk.chat.completions.create(**fields | options) as chunks:
            for chunk in chunks:
                state.handle_chunk(chunk)
                deltas += _has_content(chunk)
        whole = state.current_completion_snapshot.model_dump()
        return _told(ChatCompletion.model_validate(whole), deltas)

    def says(self, *content: Any) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": _content(content)}]}

    def goes_on(self, fields: Fields, told: Told, *turns: Any) -> dict[str, Any]:
        return {**fields, "messages": [*fields["messages"], *told.turn, *turns]}

    def result(self, call: Call, text: str) -> Any:
        return {"role": "tool", "tool_call_id": call.id, "content": text}


def _content(content: tuple[Any, ...]) -> Any:
    return content[0] if isinstance(content[0], str) else list(content)


def _has_content(chunk: ChatCompletionChunk) -> bool:
    if not chunk.choices:
        return False
    delta = chunk.choices[0].delta
    calls = [call.function or call for call in delta.tool_calls or ()]
    return bool(
        delta.content
        or delta.refusal
        or any(getattr(call, "arguments", "custom") for call in calls)
        or getattr(delta, "reasoning_content", "")
    )


def _told(completion: ChatCompletion, deltas: int = 0) -> Told:
    choice, *_ = completion.choices
    message = choice.message
    assert message.role == "assistant"
    usage = completion.usage
    return Told(
        ending=choice.finish_reason,
        # The SDK leaves the index of a streamed call in it, which OpenAI refuses.
        turn=[message.model_dump(exclude_none=True, exclude=_LEFTOVERS)],
        whole=essence(completion.model_dump()),
        text=message.content or "",
        refusal=message.refusal or "",
        refused=bool(message.refusal) or choice.finish_reason == "content_filter",
        thoughts=getattr(message, "reasoning_content", None) or "",
        calls=[_call(call) for call in message.tool_calls or ()],
        tokens=usage
        and Tokens(
            usage.prompt_tokens,
            usage.completion_tokens,
            _part(usage.prompt_tokens_details, "cached_tokens"),
            _part(usage.completion_tokens_details, "reasoning_tokens"),
        ),
        logprobs=(choice.logprobs and choice.logprobs.content) or (),
        choices=len(completion.choices),
        deltas=deltas,
    )


def _part(details: Any, name: str) -> int:
    return getattr(details, name, None) or 0


def _call(call: Any) -> Call:
    if call.type == "custom":
        return Call(call.id, call.custom.name, call.custom.input)
    return Call(call.id, call.function.name, json.loads(call.function.arguments))
