"""What the sandbox is asked, what it answers, and who puts that into JSON."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic import ValidationError

Ending = Literal["stop", "length", "content_filter", "tool_calls", "refusal"]

TOOL_NAME = "lookup"
TOOL_ARGUMENTS = '{"query": "sandbox"}'


@dataclass(frozen=True, slots=True)
class Question:
    """A valid request.

    Attributes:
        model: The model it asks for.
        text: The last user message.
        input_tokens: Words in all messages.
        max_tokens: The most words the answer may have.
        stream: Whether the answer comes as server-sent events.
        include_usage: Whether the stream reports usage, where the dialect lets choose.
        schema: The JSON schema the answer has to obey.
    """

    model: str
    text: str
    input_tokens: int
    max_tokens: int | None
    stream: bool
    include_usage: bool = True
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """Usage as the sandbox reports it, true or not."""

    input: int
    output: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says.

    Attributes:
        id: The same for the same request.
        model: The model that answers.
        pieces: The text, as a stream cuts it; None where there is no text at all.
        ending: Why it ends; None if it never says.
        tokens: Usage; None if it is not reported.
    """

    id: str
    model: str
    pieces: tuple[str, ...] | None
    ending: Ending | None
    tokens: Tokens | None

    @property
    def text(self) -> str | None:
        """All pieces together."""
        return None if self.pieces is None else "".join(self.pieces)


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


class Dialect(Protocol):
    """Reads and writes one vendor's JSON; nothing else knows what that looks like."""

    request_id_header: str
    prompt_too_long: Problem
    no_credit: Problem

    def check_credentials(self, headers: Mapping[str, str]) -> Problem | None:
        """Find out whether the request carries a key, whichever it is."""
        ...

    def read(self, body: bytes) -> Question | Problem:
        """Read a request as strictly as the vendor does."""
        ...

    def write(self, answer: Answer) -> dict[str, Any]:
        """Write a complete answer."""
        ...

    def events(self, answer: Answer, *, include_usage: bool) -> list[bytes]:
        """Write an answer as server-sent events, in the vendor's order."""
        ...

    def error(self, problem: Problem, request_id: str) -> dict[str, Any]:
        """Write an error body."""
        ...

    def error_event(self, problem: Problem, request_id: str) -> bytes:
        """Write an error as a server-sent event."""
        ...

    def unknown_model(self, model: str) -> Problem:
        """Say that there is no such model."""
        ...

    def models(self, names: list[str]) -> dict[str, Any]:
        """Write the list of models."""
        ...


@dataclass(frozen=True, slots=True)
class Mistake:
    """The first thing wrong with a request's body.

    Attributes:
        kind: pydantic's name for it, such as ``missing`` or ``json_invalid``.
        path: Where it is, such as ``("messages", 0, "role")``.
        message: What it is.
    """

    kind: str
    path: tuple[int | str, ...]
    message: str


def first_mistake(error: ValidationError) -> Mistake:
    """Say what is wrong with a body, one thing at a time, as the vendors do.

    Args:
        error: What pydantic found.

    Returns:
        The first of its findings.
    """
    found = error.errors(include_url=False, include_context=False, include_input=False)
    first = found[0]
    return Mistake(first["type"], first["loc"], first["msg"])


def read_text(content: object) -> str:
    """Read the text of a message.

    Args:
        content: A string, a list of typed parts, or None where there is only a tool
            call.

    Returns:
        The text of all text parts.

    Raises:
        ValueError: It is none of these.
    """
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise ValueError("must be a string or a list of parts")
    texts = []
    for part in content:
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise ValueError("every part must be an object with a type")
        if part["type"] == "text":
            texts.append(str(part.get("text", "")))
    return " ".join(texts)


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
