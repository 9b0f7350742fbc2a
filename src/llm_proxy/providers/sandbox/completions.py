"""OpenAI's ``POST /v1/completions``, the API before chat, from the server's side."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from llm_proxy.providers.sandbox.body import as_list, read_json
from llm_proxy.providers.sandbox.conversation import Answer, Question, Tokens
from llm_proxy.providers.sandbox.dialect import Problem, count_words
from llm_proxy.providers.sandbox.endpoint import Asked, ReceivedRequest
from llm_proxy.providers.sandbox.event import data_event
from llm_proxy.providers.sandbox.openai import OpenAI
from llm_proxy.providers.sandbox.strict import Strict

_CREATED = 1735689600
_USUAL_TOKENS = 16
_FINISH_REASONS = {"refusal": "stop", "tool_calls": "stop"}


class _StreamOptions(Strict):
    include_usage: bool = False


class _Body(Strict):
    model: str
    prompt: Annotated[list[str], BeforeValidator(as_list)] = Field(min_length=1)
    max_tokens: int | None = Field(None, ge=1)
    n: int | None = Field(None, ge=1, le=128)
    best_of: int | None = Field(None, ge=1, le=20)
    stop: Annotated[list[str], BeforeValidator(as_list)] | None = None
    echo: bool | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    logit_bias: dict[str, float] | None = None
    logprobs: Literal[0] | None = None
    seed: int | None = None
    suffix: str | None = None
    user: str | None = None


class _Completions(OpenAI):
    """The dialect of the endpoint, for one request.

    Every prompt has the same answer; with ``echo`` each has its own prompt before it.

    Args:
        echoes: What comes before the answer, for every choice.
    """

    def __init__(self, echoes: list[str]) -> None:
        self._echoes = echoes

    def write(self, answer: Answer) -> dict[str, Any]:
        """Write a ``text_completion``."""
        reason = _finish_reason(answer)
        choices = [
            _choice(index, echo + (answer.text or ""), reason)
            for index, echo in enumerate(self._echoes)
        ]
        completion = _frame(answer, choices)
        if answer.tokens is not None:
            completion["usage"] = _usage(answer.tokens)
        return completion

    def events(self, answer: Answer, *, include_usage: bool) -> list[bytes]:
        """Write a ``text_completion`` for every piece, up to ``[DONE]``."""
        choices = [
            _choice(index, piece, None)
            for index, echo in enumerate(self._echoes)
            for piece in ((echo,) if echo else ()) + (answer.pieces or ())
        ]
        tokens = answer.tokens if include_usage else None
        # With include_usage, the vendor sends a null usage in all chunks but the last.
        common = {} if tokens is None else {"usage": None}
        if answer.ending is not None:
            reason = _finish_reason(answer)
            choices += [_choice(i, "", reason) for i in range(len(self._echoes))]
        events = [data_event(_frame(answer, [choice]) | common) for choice in choices]
        if answer.ending is None:
            return events
        if tokens is not None:
            events.append(data_event(_frame(answer, []) | {"usage": _usage(tokens)}))
        return [*events, b"data: [DONE]\n\n"]


def read_completions(request: ReceivedRequest) -> Asked | Problem:
    """Read a request to go on with one or several prompts.

    Args:
        request: The request.

    Returns:
        What is asked.
    """
    body = read_json(_Body, request.body)
    if isinstance(body, Problem):
        return body
    if body.stream_options is not None and not body.stream:
        message = "The 'stream_options' parameter is only allowed when 'stream' is on."
        return Problem(400, message, param="stream_options")
    options = body.stream_options
    echoes = [prompt if body.echo else "" for prompt in body.prompt]
    choices = [echo for echo in echoes for _ in range(body.n or 1)]
    question = Question(
        model=body.model,
        text=body.prompt[-1],
        input_tokens=count_words(*body.prompt),
        max_tokens=body.max_tokens or _USUAL_TOKENS,
        stream=bool(body.stream),
        include_usage=options is not None and options.include_usage,
        stop=tuple(body.stop or ()),
        copies=len(choices),
    )
    return Asked(question, _Completions(choices))


def _frame(answer: Answer, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"cmpl-{answer.id}",
        "object": "text_completion",
        "created": _CREATED,
        "model": answer.model,
        "choices": choices,
    }


def _choice(index: int, text: str, reason: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": reason}


def _finish_reason(answer: Answer) -> str | None:
    ending = answer.ending
    return _FINISH_REASONS.get(ending, ending) if ending else None


def _usage(tokens: Tokens) -> dict[str, int]:
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
    }
