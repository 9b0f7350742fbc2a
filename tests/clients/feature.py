"""One row of the table: what a program wants, and what it demands of the answer."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from tests.clients import words
from tests.clients.program import Program, Told
from tests.clients.words import CHAT, DIALECTS, MESSAGES, RESPONSES

HELLO = "Hello there"
GREETING = 'The sandbox read: "Hello there"'
THOUGHT = "The user wrote 2 words, so a short answer will do."

STOPPED = {CHAT: "stop", RESPONSES: "completed", MESSAGES: "end_turn"}
CALLED = {CHAT: "tool_calls", RESPONSES: "completed", MESSAGES: "tool_use"}
TOO_LONG = {CHAT: "length", RESPONSES: "max_output_tokens", MESSAGES: "max_tokens"}


@dataclass(frozen=True)
class Feature:
    """One row of the table.

    Attributes:
        title: For readers.
        run: Uses it, and demands that it works.
        known: The words for it in those dialects that have any; None if all have.
    """

    title: str
    run: Callable[[Program], None]
    known: words.Words | None = None

    @property
    def name(self) -> str:
        """For tests."""
        return self.run.__name__

    @property
    def dialects(self) -> tuple[str, ...]:
        """Those that have words for it."""
        known = DIALECTS if self.known is None else self.known
        return tuple(dialect for dialect in DIALECTS if dialect in known)


def ask(
    program: Program, options: words.Words, text: str = HELLO, model: str = "sandbox"
) -> Told:
    """Asks a question in one turn with options in the program's own words."""
    return program.ask(model, **program.says(text) | options[program.dialect])


def reached(program: Program, *values: object) -> bool:
    """Whether all values stand in the request that has reached the upstream."""
    body = json.dumps(program.upstream.body())
    return all(json.dumps(value) in body for value in values)
