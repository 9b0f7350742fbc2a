"""The dialect of ``POST /v1/responses``.

Source: the OpenAI API reference, "Responses" and "Streaming events".
"""

from collections.abc import Iterator, Mapping
from typing import Any

from llm_proxy.providers.sandbox.conversation import Answer, Tokens
from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.event import named_event
from llm_proxy.providers.sandbox.openai import OpenAI
from llm_proxy.providers.sandbox.responses.events import Event, output_events
from llm_proxy.providers.sandbox.responses.output import output_of

DONE_ONLY = "done-only"
FAILED = "fault-response-failed"
# A constant, because the same request has to give the same bytes.
_CREATED = 1735689600
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_ECHOED: dict[str, Any] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


class Responses(OpenAI):
    """Writes the answer to one request; errors are as everywhere at OpenAI.

    Args:
        request: The request as it was sent, much of which the answer repeats.
        sealed: Whether thoughts come with their encrypted content.
    """

    def __init__(self, request: Mapping[str, Any], *, sealed: bool) -> None:
        self._request = request
        self._sealed = sealed

    def write(self, answer: Answer) -> dict[str, Any]:
        """Write a ``response``."""
        if answer.model == FAILED:
            message = "The model produced an error while it answered."
            error = {"code": "server_error", "message": message}
            return self._unfinished(answer) | {"status": "failed", "error": error}
        output = output_of(answer, sealed=self._sealed)
        return self._unfinished(answer) | _end_of(answer) | {"output": output}

    def events(self, answer: Answer, *, include_usage: bool) -> list[bytes]:
        """Write the events from ``response.created`` to the one that ends it."""
        unfinished, whole = self._unfinished(answer), self.write(answer)
        events: list[Event] = [
            *_started(unfinished),
            *self._said(answer),
        ]
        if answer.ending is not None:
            events.append(_state(whole))
        return [
            named_event(event | {"sequence_number": number})
            for number, event in enumerate(events)
        ]

    def error_event(self, problem: Problem, request_id: str) -> bytes:
        """Write an ``error`` event."""
        error = self.error(problem, request_id)["error"]
        event = {name: error[name] for name in ("code", "message", "param")}
        return named_event({"type": "error", "sequence_number": 0} | event)

    def _said(self, answer: Answer) -> list[Event]:
        output = output_of(answer, sealed=self._sealed)
        whole_arguments = answer.model == DONE_ONLY
        said = list(output_events(answer, output, whole_arguments=whole_arguments))
        return said[: len(said) // 2] if answer.model == FAILED else said

    def _unfinished(self, answer: Answer) -> dict[str, Any]:
        """Write what all states of the response have in common."""
        return {
            "id": f"resp_{answer.id}",
            "object": "response",
            "created_at": _CREATED,
            "completed_at": None,
            "model": answer.model,
            "status": "in_progress",
            "error": None,
            "incomplete_details": None,
            "output": [],
            "usage": None,
        } | {name: _echo(self._request.get(name), _ECHOED[name]) for name in _ECHOED}


def _started(unfinished: dict[str, Any]) -> Iterator[Event]:
    if unfinished["background"]:
        queued = unfinished | {"status": "queued"}
        yield {"type": "response.created", "response": queued}
        yield _state(queued)
    else:
        yield {"type": "response.created", "response": unfinished}
    yield _state(unfinished)


def _state(response: dict[str, Any]) -> Event:
    """Write the event that belongs to the status of a response."""
    return {"type": f"response.{response['status']}", "response": response}


def _echo(sent: object, default: object) -> object:
    if isinstance(sent, dict) and isinstance(default, dict):
        return default | sent
    return default if sent is None else sent


def _end_of(answer: Answer) -> dict[str, Any]:
    if answer.ending is None:
        return {}
    reason = _INCOMPLETE.get(answer.ending)
    return {
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "completed_at": None if reason else _CREATED,
        "usage": _usage(answer.tokens) if answer.tokens else None,
    }


def _usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "input_tokens": tokens.input,
        "input_tokens_details": {
            "cached_tokens": tokens.cached,
            "cache_write_tokens": 0,
        },
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.thinking},
        "total_tokens": tokens.input + tokens.output,
    }
