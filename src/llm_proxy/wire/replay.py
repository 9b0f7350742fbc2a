"""Gives an answer that is sent again an id and a time of its own.

Only these change, wherever the dialect has them, and no other byte.
"""

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import orjson

from llm_proxy.wire.surface import Asked

# A string, perhaps with the colon that makes it a name; a bracket; another value.
_TOKEN = re.compile(
    rb"""
    (?P<string> "(?:[^"\\]++|\\.)*+" ) (?P<name> [ \t\r\n]*+ : )?
    | (?P<bracket> [{}\[\]] )
    | (?P<scalar> [^\s"{}\[\],:]++ )
    """,
    re.VERBOSE | re.DOTALL,
)

# All lines of data of one event.
_DATA = re.compile(rb"(?:^data:[^\r\n]*+(?:\r?\n|\Z))++", re.MULTILINE)

# Where a value stands: the names of the members around it; None for any element of an
# array.
_Path = tuple[str | None, ...]
# Makes another JSON value of one.
_Change = Callable[[bytes], bytes]
_Changes = Mapping[_Path, _Change]


def replay(surface: str, body: bytes, asked: Asked) -> bytes:
    """Make a complete answer one to another request.

    Args:
        surface: The dialect's name, as in `Surface`.
        body: The answer.
        asked: What it has to know of the request.

    Returns:
        The answer to that request.
    """
    changes = _DIALECTS[surface](asked).in_answer(body)
    return _change(body, changes, [*_places(body, changes)])


def replay_events(surface: str, events: bytes, asked: Asked) -> bytes:
    """Make a streamed answer one to another request.

    Args:
        surface: As for `replay`.
        events: All its events.
        asked: As for `replay`.

    Returns:
        The events of the answer to that request. What is no JSON, or stands on several
        lines, is left as it is.
    """
    dialect = _DIALECTS[surface](asked)
    # How the last event began, and how it begins; most of them begin alike.
    old = new = b""

    def change(match: re.Match[bytes]) -> bytes:
        nonlocal old, new
        line = match[0]
        if line.count(b"\n") > 1:
            return line
        if old and line.startswith(old):
            return new + line[len(old) :]
        try:
            changes = dialect.in_event(line.removeprefix(b"data:"))
            if not changes:
                return line
            places = [*_places(line, changes)]
            changed = _change(line, changes, places)
        except orjson.JSONDecodeError:
            return line
        if places and not _are_endless(changes) and len(places) == len(changes):
            # With the byte behind the last one, or a number could go on.
            end = places[-1].end + 1
            old, new = line[:end], changed[: end + len(changed) - len(line)]
        return changed

    return _DATA.sub(change, events)


class _Chat:
    """OpenAI's chat completions, and the older completions.

    Args:
        asked: What an answer has to know of its request.
        prefix: What its id begins with.
    """

    def __init__(self, asked: Asked, prefix: str = "chatcmpl-") -> None:
        self._changes: _Changes = {
            ("id",): _always(prefix + asked.id),
            ("created",): _always(asked.created),
        }

    def in_answer(self, body: bytes) -> _Changes:
        return self._changes

    def in_event(self, data: bytes) -> _Changes:
        return self._changes


class _Completions(_Chat):
    """The older completions."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked, "cmpl-")


class _Messages:
    """Anthropic's messages: the first event of a stream has the message in it.

    Args:
        asked: What an answer has to know of its request.
    """

    def __init__(self, asked: Asked) -> None:
        self._id = _always(f"msg_{asked.id}")

    def in_answer(self, body: bytes) -> _Changes:
        return {("id",): self._id}

    def in_event(self, data: bytes) -> _Changes:
        return {("message", "id"): self._id} if b'"message_start"' in data else {}


class _Responses:
    """OpenAI's responses, whose items have ids as well.

    Messages get new ones. Thoughts keep theirs: OpenAI takes encrypted ones back only
    under the id that they were made with.

    Args:
        asked: What an answer has to know of its request.
    """

    def __init__(self, asked: Asked) -> None:
        self._serial = asked.id
        self._messages: dict[str, str] = {}
        at = _always(asked.created)
        self._response: _Changes = {
            ("id",): _always(f"resp_{asked.id}"),
            ("created_at",): at,
            ("completed_at",): lambda old: old if old == b"null" else at(old),
            ("output", None, "id"): self._item_id,
        }
        below = {("response", *path): each for path, each in self._response.items()}
        self._event: _Changes = {**below, ("item", "id"): self._item_id}
        self._piece: _Changes = {("item_id",): self._item_id}

    def in_answer(self, body: bytes) -> _Changes:
        self._learn(orjson.loads(body).get("output"))
        return self._response

    def in_event(self, data: bytes) -> _Changes:
        if b'"item_id"' in data:
            return self._piece
        if b'"item"' not in data and b'"response"' not in data:
            return {}
        event = orjson.loads(data)
        if isinstance(event, dict):
            self._learn([event.get("item")])
            response = event.get("response")
            self._learn(isinstance(response, dict) and response.get("output"))
        return self._event

    def _learn(self, items: object) -> None:
        """Give ids to messages."""
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict) and item.get("type") == "message":
                new = f"msg_{self._serial}{len(self._messages)}"
                self._messages.setdefault(str(item.get("id")), new)

    def _item_id(self, old: bytes) -> bytes:
        new = self._messages.get(orjson.loads(old))
        return old if new is None else orjson.dumps(new)


_DIALECTS: Mapping[str, Callable[[Asked], _Chat | _Messages | _Responses]] = {
    "openai_chat": _Chat,
    "openai_completions": _Completions,
    "anthropic_messages": _Messages,
    "openai_responses": _Responses,
}


def _always(value: str | int) -> _Change:
    written = orjson.dumps(value)
    return lambda _: written


def _change(text: bytes, changes: _Changes, places: Sequence["_Place"]) -> bytes:
    """Change the values at some places."""
    pieces: list[bytes] = []
    seen = 0
    for path, start, end in places:
        pieces += (text[seen:start], changes[path](text[start:end]))
        seen = end
    return b"".join((*pieces, text[seen:]))


class _Place(NamedTuple):
    """Where a value stands: in the object, and in the text."""

    path: _Path
    start: int
    end: int


def _places(text: bytes, wanted: Collection[_Path]) -> Iterator[_Place]:
    """Find values that are no objects and no arrays.

    Args:
        text: Has one JSON object in it.
        wanted: Where they may stand in it.

    Yields:
        Where each stands, and nothing more once there is one for each path.
    """
    depth = max(map(len, wanted), default=0)
    left = math.inf if _are_endless(wanted) else len(wanted)
    path: list[str | None] = []
    for token in _TOKEN.finditer(text) if wanted else ():
        kind = token.lastgroup
        if kind == "bracket":
            if token[0] in b"{[":
                path.append(None)
            elif path:
                path.pop()
        elif 0 < len(path) <= depth:
            if kind == "name":
                path[-1] = orjson.loads(token["string"])
            elif (place := tuple(path)) in wanted:
                yield _Place(place, *token.span())
                left -= 1
                if not left:
                    return


def _are_endless(paths: Collection[_Path]) -> bool:
    """Whether one of them leads through an array, to any number of places."""
    return any(None in path for path in paths)
