"""Finds the JSON that a model has put somewhere into its answer."""

import json
import re
from collections.abc import Iterator
from typing import Any

_START = re.compile(r"[\[{]")
# Strings are matched too, so that the commas in them stay.
_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.?)*+"?)|,(?=\s*[\]}])', re.DOTALL)
_DECODER = json.JSONDecoder()
# Each failed attempt may read the rest of the text.
_MAX_FAILURES = 32


def json_values(text: str) -> Iterator[Any]:
    """Read every JSON object and list in a text, whatever stands around them.

    Args:
        text: A model's answer: prose, code fences, JSON with trailing commas.

    Yields:
        Objects and lists, in the order they stand in.
    """
    text = _TRAILING_COMMA.sub(r"\1", text)
    position = failures = 0
    while failures < _MAX_FAILURES and (start := _START.search(text, position)):
        try:
            value, position = _DECODER.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            position = start.end()
            failures += 1
        else:
            yield value
