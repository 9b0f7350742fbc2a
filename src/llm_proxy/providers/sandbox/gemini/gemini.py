"""Google's Gemini API, from the server's side.

Source: the Gemini API reference, "Generating content", and Google's AIP-193, "Errors".
"""

from collections.abc import Mapping
from typing import Any

import orjson

from llm_proxy.providers.sandbox.conversation import Answer
from llm_proxy.providers.sandbox.dialect import Dialect, Problem
from llm_proxy.providers.sandbox.gemini.candidates import write_answer, write_events

_STATUSES: Mapping[int, str] = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    504: "DEADLINE_EXCEEDED",
}
_BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"


class Gemini(Dialect):
    """The dialect of ``/v1beta/models``."""

    # There is none in this API.
    request_id_header = ""
    ends_with_mark = False
    prompt_too_long = Problem(
        400,
        "The input token count (1048577) exceeds the maximum number of tokens allowed "
        "(1048576).",
    )
    no_credit = Problem(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
    )

    def check_credentials(self, headers: Mapping[str, str]) -> Problem | None:
        """Demand any key in ``x-goog-api-key``."""
        if headers.get("x-goog-api-key"):
            return None
        return Problem(
            403,
            "Method doesn't allow unregistered callers (callers without established "
            "identity). Please use API Key or other form of API consumer identity to "
            "call this API.",
        )

    def write(self, answer: Answer) -> dict[str, Any]:
        """Write a ``GenerateContentResponse``."""
        return write_answer(answer)

    def events(self, answer: Answer, *, include_usage: bool) -> list[bytes]:
        """Write one ``GenerateContentResponse`` for every piece."""
        return write_events(answer)

    def error(self, problem: Problem, request_id: str) -> dict[str, Any]:
        """Write ``{"error": …}``, with the field at fault if there is one."""
        default = "UNAVAILABLE" if problem.status > 500 else "INVALID_ARGUMENT"
        error: dict[str, Any] = {
            "code": problem.status,
            "message": problem.message,
            "status": problem.type or _STATUSES.get(problem.status, default),
        }
        if problem.param is not None:
            violation = {"field": problem.param, "description": problem.message}
            error["details"] = [{"@type": _BAD_REQUEST, "fieldViolations": [violation]}]
        return {"error": error}

    def error_event(self, problem: Problem, request_id: str) -> bytes:
        """Write the error body as it is: the vendor makes no event of it."""
        error = self.error(problem, request_id)
        return orjson.dumps(error, option=orjson.OPT_INDENT_2) + b"\n"

    def unknown_model(self, model: str) -> Problem:
        """Say that there is no such model."""
        return Problem(
            404,
            f"models/{model} is not found for API version v1beta, or is not supported "
            "for generateContent. Call ListModels to see the list of available models "
            "and their supported methods.",
        )


GEMINI = Gemini()
