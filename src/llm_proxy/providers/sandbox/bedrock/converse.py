"""Amazon Bedrock's Converse API, from the server's side.

Source: the Amazon Bedrock API reference, "Converse", "ConverseStream" and "Common
errors".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from llm_proxy.providers.sandbox.bedrock.credentials import check_credentials
from llm_proxy.providers.sandbox.bedrock.event_stream import EventStream, write_frame
from llm_proxy.providers.sandbox.bedrock.output import (
    write_ending,
    write_events,
    write_response,
)
from llm_proxy.providers.sandbox.conversation import Answer
from llm_proxy.providers.sandbox.dialect import Dialect, Problem
from llm_proxy.providers.sandbox.framing import Framing

_EXCEPTIONS: Mapping[int, str] = {
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
}


@dataclass(frozen=True, slots=True)
class Converse(Dialect):
    """The dialect of ``/model``, as far as one request has chosen it.

    Attributes:
        guarded: A guardrail looks at the answer.
        tells_stop_sequence: The ending says which stop sequence it was.
    """

    request_id_header: ClassVar[str] = "x-amzn-requestid"
    framing: ClassVar[Framing] = EventStream()
    prompt_too_long: ClassVar[Problem] = Problem(
        400, "Input is too long for requested model."
    )
    no_credit: ClassVar[Problem] = Problem(
        403,
        "Model access is denied due to INVALID_PAYMENT_INSTRUMENT: A valid payment "
        "instrument must be provided.",
    )
    guarded: bool = False
    tells_stop_sequence: bool = False

    def check_credentials(self, headers: Mapping[str, str]) -> Problem | None:
        """Demand any API key as a bearer, or a signature."""
        return check_credentials(headers)

    def write(self, answer: Answer) -> dict[str, Any]:
        """Write a ``ConverseResponse``."""
        return write_response(answer) | self._ending(answer)

    def events(self, answer: Answer, *, include_usage: bool) -> list[bytes]:
        """Write the frames from ``messageStart`` to ``metadata``."""
        return [
            _write_event("event", name, event)
            for name, event in write_events(answer, self._ending(answer))
        ]

    def error(self, problem: Problem, request_id: str) -> dict[str, Any]:
        """Write ``{"message": …}``."""
        return {"message": problem.message}

    def error_headers(self, problem: Problem) -> Mapping[str, str]:
        """Write the type of the error."""
        return {"x-amzn-errortype": _exception(problem)}

    def error_event(self, problem: Problem, request_id: str) -> bytes:
        """Write an exception, whose name begins in lower case in a stream."""
        name = _exception(problem)
        name = name[0].lower() + name[1:]
        return _write_event("exception", name, self.error(problem, request_id))

    def unknown_model(self, model: str) -> Problem:
        """Say that there is no such model."""
        return Problem(400, "The provided model identifier is invalid.")

    def _ending(self, answer: Answer) -> dict[str, Any]:
        ending = write_ending(answer)
        if self.guarded and answer.ending == "content_filter":
            ending["stopReason"] = "guardrail_intervened"
        if self.tells_stop_sequence:
            fields = {"stop_sequence": answer.stop_sequence}
            ending["additionalModelResponseFields"] = fields
        return ending


BEDROCK = Converse()


def _exception(problem: Problem) -> str:
    unavailable = "ServiceUnavailableException"
    default = unavailable if problem.status > 500 else "ValidationException"
    return problem.type or _EXCEPTIONS.get(problem.status, default)


def _write_event(kind: str, name: str, value: Mapping[str, Any]) -> bytes:
    headers = {
        f":{kind}-type": name,
        ":content-type": "application/json",
        ":message-type": kind,
    }
    return write_frame(headers, orjson.dumps(value))
