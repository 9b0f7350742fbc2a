"""Who puts questions and answers into a vendor's JSON, and what dialects share."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from pydantic import ValidationError

from llm_proxy.providers.sandbox.conversation import Answer
from llm_proxy.providers.sandbox.framing import SSE, Framing


@dataclass(frozen=True, slots=True)
class Problem:
    """Why there is no answer.

    Attributes:
        status: HTTP status.
        message: The vendor's sentence.
        type: The vendor's error type; None takes the one that belongs to the status.
        code: The vendor's error code, where it has one; None likewise.
        param: The parameter at fault.
    """

    status: int
    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None


TOO_MANY = Problem(429, "Rate limit reached for requests per minute.")
UNAVAILABLE = Problem(503, "The engine is currently overloaded.")
OVERLOADED = Problem(529, "Overloaded")


class Dialect(Protocol):
    """Writes one vendor's JSON; nothing else knows what that looks like.

    Attributes:
        request_id_header: Where the request id stands; empty if it stands nowhere.
        prompt_too_long: The vendor's words for that.
        no_credit: Likewise.
        framing: How events follow each other in a stream.
        ends_with_mark: The last event of a stream has nothing of the answer.
    """

    request_id_header: ClassVar[str]
    prompt_too_long: ClassVar[Problem]
    no_credit: ClassVar[Problem]
    framing: ClassVar[Framing] = SSE
    ends_with_mark: ClassVar[bool] = True

    def check_credentials(self, headers: Mapping[str, str]) -> Problem | None:
        """Find out whether the request carries a key, whichever it is."""
        ...

    def write(self, answer: Answer) -> dict[str, Any]:
        """Write a complete answer."""
        ...

    def events(self, answer: Answer, *, include_usage: bool) -> list[bytes]:
        """Write an answer as events, in the vendor's order."""
        ...

    def error(self, problem: Problem, request_id: str) -> dict[str, Any]:
        """Write an error body."""
        ...

    def error_headers(self, problem: Problem) -> Mapping[str, str]:
        """Write the headers that only errors have."""
        return {}

    def error_event(self, problem: Problem, request_id: str) -> bytes:
        """Write an error in the middle of a stream."""
        ...

    def unknown_model(self, model: str) -> Problem:
        """Say that there is no such model."""
        ...


@dataclass(frozen=True, slots=True)
class Mistake:
    """The first thing wrong with a request's body.

    Attributes:
        kind: pydantic's name for it, such as ``missing`` or ``json_invalid``.
        path: Where it is, such as ``("messages", 0, "role")``.
        message: What it is.
        value: What stands there.
        context: What pydantic knows besides, such as the bound that was crossed.
    """

    kind: str
    path: tuple[int | str, ...]
    message: str
    value: object
    context: Mapping[str, Any]


def first_mistake(error: ValidationError) -> Mistake:
    """Say what is wrong with a body, one thing at a time, as the vendors do.

    Args:
        error: What pydantic found.

    Returns:
        The first of its findings.
    """
    first = error.errors(include_url=False)[0]
    return Mistake(
        kind=first["type"],
        path=first["loc"],
        message=first["msg"],
        value=first["input"],
        context=first.get("ctx", {}),
    )


def count_words(*texts: str) -> int:
    """Count words; in the sandbox, a word is a token.

    Args:
        *texts: Any texts.

    Returns:
        Words between white space, in all texts together.
    """
    return sum(len(text.split()) for text in texts)


def cut_words(text: str) -> tuple[str, ...]:
    """Cut a text into the pieces in which it is streamed.

    Args:
        text: Any text.

    Returns:
        Words with the white space around them; together they are the text.
    """
    return tuple(re.findall(r"\s*\S+\s*", text))
