"""Changes single members of a JSON object and leaves every other byte as it is."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

_ESCAPED_LETTER = re.compile(rb"\\u00[567]")
_COLON = re.compile(rb"\s*:\s*")
_SCALAR = re.compile(rb'"[^"\\]*+"|[^\s"{}\[\],]++')
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}\[\]]')
_COMMA_BEHIND = re.compile(rb"\s*,")
_SPACE = b" \t\r\n"


def splice(
    body: bytes,
    members: Mapping[str, bytes | None],
    fields: Mapping[str, Any] | None = None,
) -> bytes:
    """Replace, add and remove top-level members of a JSON object in place.

    Parsers disagree on which of two members with one name counts, so of those that are
    named here only one stays.

    Args:
        body: A JSON object, known to be valid.
        members: What each member shall be, as JSON; None removes it. Names are of
            lower-case letters and ``_``.
        fields: What `body` says; parsed from it if the caller does not have it.

    Returns:
        The changed object.
    """
    present = orjson.loads(body) if fields is None else fields
    for name, value in members.items():
        if name in present:
            body = _change(body, name, value)
        elif value is not None:
            body = _append(body, b'"%b":%b' % (name.encode(), value))
    return body


def _append(body: bytes, member: bytes) -> bytes:
    head = body[: body.rindex(b"}")].rstrip(_SPACE)
    comma = b"" if head.endswith(b"{") else b","
    return b"".join((head, comma, member, body[len(head) :]))


def _change(body: bytes, name: str, value: bytes | None) -> bytes:
    places = _keys(body, name)
    if len(places) > 1:
        places = _at_top(body, places)
    *others, (start, after_key) = places
    pieces = []
    seen = 0
    for other, after_other in others:
        pieces.append(body[seen:other])
        # The last one is still to come, so there is a comma behind this one.
        seen = _behind_comma(body, _value_end(body, _after_colon(body, after_other)))
    at = _after_colon(body, after_key)
    end = _value_end(body, at)
    if value is not None:
        return b"".join((*pieces, body[seen:at], value, body[end:]))
    head = b"".join((*pieces, body[seen:start]))
    rest = _behind_comma(body, end)
    if rest == end:
        head = head.rstrip(_SPACE).removesuffix(b",")
    return head + body[rest:]


def _keys(body: bytes, name: str) -> list[tuple[int, int]]:
    """Find where keys of this name begin and end, at any depth."""
    if _ESCAPED_LETTER.search(body):
        letters = [rb"(?:%c|\\u00(?i:%02x))" % (ord(each), ord(each)) for each in name]
        spelled = re.compile(rb'(?<!\\)"%b"(?=\s*:)' % b"".join(letters))
        return [match.span() for match in spelled.finditer(body)]
    key = b'"%b"' % name.encode()
    found = []
    # CPython searches three times as fast from the end.
    start = body.rfind(key)
    while start >= 0:
        end = start + len(key)
        # A value has no colon behind; a longer key that ends like this one has an
        # escaped quote there.
        if _COLON.match(body, end) and body[start - 1 : start] != b"\\":
            found.append((start, end))
        start = body.rfind(key, 0, start)
    found.reverse()
    return found


def _at_top(body: bytes, places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    depth = seen = 0
    found = []
    for start, end in places:
        depth += _depth(body[seen:start])
        seen = start
        if depth == 1:
            found.append((start, end))
    return found


def _depth(piece: bytes) -> int:
    """Count the brackets that a piece leaves open; its ends are not inside strings."""
    unescaped = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
    code = b"".join(unescaped.split(b'"')[::2])
    opened = code.count(b"{") + code.count(b"[")
    return opened - code.count(b"}") - code.count(b"]")


def _after_colon(body: bytes, after_key: int) -> int:
    colon = _COLON.match(body, after_key)
    return colon.end() if colon else after_key


def _value_end(body: bytes, at: int) -> int:
    scalar = _SCALAR.match(body, at)
    if scalar:
        return scalar.end()
    depth = 0
    end = at
    for token in _STRING_OR_BRACKET.finditer(body, at):
        depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(token[0], 0)
        if depth == 0:
            end = token.end()
            break
    return end


def _behind_comma(body: bytes, end: int) -> int:
    comma = _COMMA_BEHIND.match(body, end)
    return comma.end() if comma else end
