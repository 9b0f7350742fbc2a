"""OpenAI's chat completions, from the server's side.

Source: the OpenAI API reference, "Chat completions" and "Error codes".
"""

from collections.abc import Mapping
from typing import Any

from llm_proxy.providers.sandbox.conversation import Answer, Question
from llm_proxy.providers.sandbox.dialect import Dialect, Problem
from llm_proxy.providers.sandbox.event import data_event
from llm_proxy.providers.sandbox.openai.completion import (
    write_chunks,
    write_completion,
)
from llm_proxy.providers.sandbox.openai.request import read_request


class OpenAI(Dialect):
    """The dialect of ``POST /v1/chat/completions``."""

    request_id_header = "x-request-id"
    prompt_too_long = Problem(
        400,
        "This model's maximum context length is 128000 tokens. However, your messages "
        "resulted in 130001 tokens. Please reduce the length of the messages.",
        code="context_length_exceeded",
        param="messages",
    )
    no_credit = Problem(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        type="insufficient_quota",
        code="insufficient_quota",
    )

    def check_credentials(self, headers: Mapping[str, str]) -> Problem | None:
        """Demand ``Authorization: Bearer`` with any key."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and key.strip():
            return None
        return Problem(
            401,
            "You didn't provide an API key. You need to provide your API key in an "
            "Authorization header using Bearer auth.",
        )

    def read(self, body: bytes) -> Question | Problem:
        """Read a request as strictly as the vendor does."""
        return read_request(body)

    def write(self, answer: Answer) -> dict[str, Any]:
        """Write a ``chat.completion``."""
        return write_completion(answer)

    def events(self, answer: Answer, *, include_usage: bool) -> list[bytes]:
        """Write ``chat.completion.chunk`` events, up to ``[DONE]``."""
        return write_chunks(answer, include_usage=include_usage)

    def error(self, problem: Problem, request_id: str) -> dict[str, Any]:
        """Write ``{"error": …}``."""
        type_, code = _error_type(problem.status)
        return {
            "error": {
                "message": problem.message,
                "type": problem.type or type_,
                "param": problem.param,
                "code": problem.code or code,
            }
        }

    def error_event(self, problem: Problem, request_id: str) -> bytes:
        """Write the error body as an event of its own."""
        return data_event(self.error(problem, request_id))

    def unknown_model(self, model: str) -> Problem:
        """Say that there is no such model."""
        return Problem(
            404,
            f"The model `{model}` does not exist or you do not have access to it.",
            code="model_not_found",
        )


def _error_type(status: int) -> tuple[str, str | None]:
    if status >= 500:
        return "server_error", None
    special = {
        401: ("invalid_request_error", "invalid_api_key"),
        403: ("request_forbidden", None),
        429: ("requests", "rate_limit_exceeded"),
    }
    return special.get(status, ("invalid_request_error", None))
