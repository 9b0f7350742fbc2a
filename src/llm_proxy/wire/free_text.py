"""Custom tools for vendors that only know functions.

A custom tool takes free text. Toward a vendor without such tools it becomes a function
whose one argument, ``input``, is that text; what the model writes is turned back.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson

from llm_proxy.types import Tool

_PARAMETERS: Mapping[str, Any] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}
_HEAD = '{"input":"'
_KEY = range(_HEAD.index("i"), _HEAD.index(":"))
_SPACE = " \t\r\n"
# Everything up to the closing quote or to an escape that may go on in the next piece:
# a backslash, a unicode escape, or the first half of a surrogate pair.
_HEX = "[0-9a-fA-F]"
_WHOLE = re.compile(
    rf"""(?: [^"\\]++
           | \\ [^u]
           | \\u (?! {_HEX}{{0,3}} \Z )
                 (?! [dD][89abAB]{_HEX}{{2}} (?: \\ (?: u{_HEX}{{0,3}} )? )? \Z )
         )*+""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(rf"\\(?:u({_HEX}{{4}})|(.))", re.DOTALL)
_ESCAPED: Mapping[str, str] = {
    '"': '"',
    "\\": "\\",
    "/": "/",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
}


def as_function(tool: Tool) -> Tool:
    """Write a custom tool as a function, for a vendor without custom tools.

    Args:
        tool: A tool that takes free text.

    Returns:
        A function with the one argument ``input``. The grammar, which nobody will
        enforce, is part of the description.
    """
    description = tool.description
    if tool.grammar is not None:
        syntax, definition = _read_grammar(tool.grammar)
        rule = f"`input` must obey this {syntax} grammar:\n{definition}"
        description = f"{description}\n\n{rule}" if description else rule
    return replace(
        tool,
        description=description,
        parameters=_PARAMETERS,
        custom=False,
        grammar=None,
    )


def _read_grammar(grammar: Mapping[str, Any]) -> tuple[str, str]:
    """Read both forms of OpenAI: chat completions puts one more object around it."""
    inner = grammar.get("grammar")
    rules = inner if isinstance(inner, Mapping) else grammar
    return str(rules.get("syntax", "")), str(rules.get("definition", ""))


def write_free_text(text: str) -> str:
    """Write free text as the arguments of the function that `as_function` makes.

    Args:
        text: What a custom tool is called with.

    Returns:
        JSON.
    """
    return orjson.dumps({"input": text}).decode()


def write_arguments(
    arguments: str, *, custom: bool = False
) -> orjson.Fragment | dict[str, str]:
    """Write what a tool is called with, for a vendor who only knows objects.

    Args:
        arguments: What the model wrote.
        custom: Whether the tool takes free text.

    Returns:
        An object, as the model wrote it. Free text, and JSON that the model got wrong,
        becomes the value of ``input``: nothing is lost, and nothing is made up.
    """
    if not custom:
        if not arguments.strip():
            return {}
        with suppress(orjson.JSONDecodeError):
            if isinstance(orjson.loads(arguments), dict):
                return orjson.Fragment(arguments)
    return {"input": arguments}


def read_free_text(arguments: str) -> str:
    """Read the arguments of the function that `as_function` makes.

    Args:
        arguments: What the model wrote.

    Returns:
        The free text; the arguments as they are if they are of another form.
    """
    return FreeTextReader().feed(arguments)


class FreeTextReader:
    """Reads ``{"input": "..."}`` while it grows and hands out the free text in it.

    What the model writes in another form is handed out as it is. Pieces together give
    what `read_free_text` gives for the whole.
    """

    def __init__(self) -> None:
        self._read: Callable[[str], str] = self._read_head
        self._matched = 0
        self._held = ""

    def feed(self, piece: str) -> str:
        """Take the next piece.

        Args:
            piece: JSON text, cut anywhere.

        Returns:
            The free text that it completes.
        """
        return self._read(piece)

    def _read_head(self, piece: str) -> str:
        for position, char in enumerate(piece):
            if char == _HEAD[self._matched]:
                self._matched += 1
                if self._matched == len(_HEAD):
                    self._held = ""
                    self._read = self._read_string
                    return self._read_string(piece[position + 1 :])
            elif char not in _SPACE or self._matched in _KEY:
                self._read = _as_it_is
                return self._held + piece
        self._held += piece
        return ""

    def _read_string(self, piece: str) -> str:
        if not self._held and '"' not in piece and "\\" not in piece:
            return piece
        text = self._held + piece
        whole = _WHOLE.match(text)
        end = whole.end() if whole else 0
        if text[end : end + 1] == '"':
            self._read = _nothing
        else:
            self._held = text[end:]
        return _unescape(text[:end])


def _as_it_is(piece: str) -> str:
    return piece


def _nothing(_piece: str) -> str:
    return ""


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    halves = _ESCAPE.sub(_character, text)
    # Joins the halves of surrogate pairs; a lone half cannot be sent to anybody.
    return halves.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _character(escape: re.Match[str]) -> str:
    if escape[1]:
        return chr(int(escape[1], 16))
    return _ESCAPED.get(escape[2], escape[0])
