"""Anthropic's messages API, from the server's side.

Source: the Anthropic API reference, "Messages", "Streaming messages" and "Errors".
"""

from collections.abc import Mapping
from typing import Any

from llm_proxy.providers.sandbox.anthropic.message import write_events, write_message
from llm_proxy.providers.sandbox.anthropic.request import read_request
from llm_proxy.providers.sandbox.conversation import Answer, Question
from llm_proxy.providers.sandbox.dialect import Dialect, Problem
from llm_proxy.providers.sandbox.event import named_event

_ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class Anthropic(Dialect):
    """The dialect of ``POST /v1/messages``."""

    request_id_header = "request-id"
    prompt_too_long = Problem(400, "prompt is too long: 200001 tokens > 200000 maximum")
    no_credit = Problem(
        402, "Your credit balance is too low to access the Anthropic API."
    )

    def check_credentials(self, headers: Mapping[str, str]) -> Problem | None:
        """Demand any key, in ``x-api-key`` or as a bearer, and a version of the API."""
        if not headers.get("x-api-key") and not headers.get("authorization"):
            return Problem(401, "x-api-key header is required")
        if not headers.get("anthropic-version"):
            return Problem(400, "anthropic-version: header is required")
        return None

    def read(self, body: bytes) -> Question | Problem:
        """Read a request as strictly as the vendor does."""
        return read_request(body)

    def write(self, answer: Answer) -> dict[str, Any]:
        """Write a ``message``."""
        return write_message(answer)

    def events(self, answer: Answer, *, include_usage: bool) -> list[bytes]:
        """Write the events from ``message_start`` to ``message_stop``."""
        return write_events(answer)

    def error(self, problem: Problem, request_id: str) -> dict[str, Any]:
        """Write ``{"type": "error", "error": …}``."""
        default = "api_error" if problem.status >= 500 else "invalid_request_error"
        type_ = problem.type or _ERROR_TYPES.get(problem.status, default)
        error: dict[str, Any] = {"type": type_, "message": problem.message}
        if problem.code is not None:
            error["details"] = {"error_code": problem.code}
        return {"type": "error", "error": error, "request_id": f"req_{request_id}"}

    def error_event(self, problem: Problem, request_id: str) -> bytes:
        """Write the error body as an ``error`` event."""
        return named_event(self.error(problem, request_id))

    def unknown_model(self, model: str) -> Problem:
        """Say that there is no such model."""
        return Problem(404, f"model: {model}")
