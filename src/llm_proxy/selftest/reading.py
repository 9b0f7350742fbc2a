"""What a body says to a caller who believes nothing that is not in it."""

from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Told:
    """An error in a surface's own envelope.

    Attributes:
        code: Its name for programs.
        message: Its sentence for people.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a caller learns from a body.

    Attributes:
        text: What the model has said.
        model: Who has said it.
        has_reason: Whether it says why the answer ended.
        whole: Whether the dialect's sign of a whole answer is there as well.
        usage: Tokens in and out; None if that is not told, or not as two integers.
        error: The error that stands in the answer's place, or ends it.
        faults: What the dialect does not allow, one phrase each.
    """

    text: str = ""
    model: str = ""
    has_reason: bool = False
    whole: bool = False
    usage: tuple[int, int] | None = None
    error: Told | None = None
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event."""

    name: str
    data: str


def read_json(data: str | bytes) -> Any:  # noqa: ANN401 - JSON
    """Read JSON without ever failing.

    Args:
        data: What should be JSON.

    Returns:
        The value; None if it is not JSON.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None


def read_events(body: bytes) -> list[Event]:
    """Cut a stream into its events.

    It does not share a line with the parsers of the service, because it judges them.

    Args:
        body: The stream up to where it ended.

    Returns:
        The events that are whole (WHATWG HTML, 9.2.6); comments are none.
    """
    events: list[Event] = []
    name, data = "", list[str]()
    for line in body.decode(errors="replace").splitlines():
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif not line:
            if data:
                events.append(Event(name, "\n".join(data)))
            name, data = "", []
    return events


def dig(value: object, *path: str | int) -> Any:  # noqa: ANN401 - JSON
    """Follow a path through JSON without ever failing.

    Args:
        value: Where to begin.
        path: Names of members and places in lists.

    Returns:
        What is there; None if nothing is.
    """
    found: Any = value
    for step in path:
        try:
            found = found[step]
        except (KeyError, IndexError, TypeError):
            return None
    return found


def count_tokens(value: object, given: str, made: str) -> tuple[int, int] | None:
    """Read how many tokens an answer has cost.

    Args:
        value: The JSON object that tells it.
        given: The member with the tokens of the question.
        made: The member with those of the answer.

    Returns:
        Both; None unless both are integers that are not negative.
    """
    counts = dig(value, given), dig(value, made)
    if all(type(count) is int and count >= 0 for count in counts):
        return counts
    return None
