"""Examples of JSON schemas, so that structured answers need no model."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_Schema = Mapping[str, Any]

# Schemas come from callers: these bounds keep the cost of any of them small.
_MOST_VALUES = 200
_MOST_CHARACTERS = 10_000
_EXCERPT_WORDS = 8

_FORMATS = {
    "date": "2025-01-31",
    "date-time": "2025-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1M",
    "email": "ada@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def example_of(schema: _Schema, prompt: str) -> Any:  # noqa: ANN401 - any JSON value
    """Make a small value that a JSON schema accepts.

    Understood are ``type``, ``enum``, ``const``, ``format``, local ``$ref``, ``anyOf``,
    ``oneOf``, ``allOf``, ``required``, ``prefixItems`` and the bounds of strings,
    numbers and arrays.

    Args:
        schema: A JSON schema.
        prompt: Where words and numbers of the example come from.

    Returns:
        The same value for the same arguments. It has the required properties, or all
        of them where the schema requires none.
    """
    return _Example(schema, prompt).of(schema)


class _Example:
    def __init__(self, root: _Schema, prompt: str) -> None:
        self._root = root
        self._prompt = prompt.lower()
        words = re.findall(r"[^\W\d_]{3,}", prompt)
        self._texts = [
            " ".join(prompt.split()[:_EXCERPT_WORDS]) or "text",
            *dict.fromkeys(words),
        ]
        self._numbers = [
            float(n) for n in re.findall(r"-?\d{1,15}(?:\.\d{1,9})?", prompt)
        ]
        self._left = _MOST_VALUES

    def of(self, schema: object, place: int = 0) -> Any:  # noqa: ANN401
        """Make a value; `place` counts the items of an array, outside it is 0."""
        self._left -= 1
        if self._left < 0 or not isinstance(schema, Mapping):
            return None
        schema = self._merge(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._choose(schema["enum"], place)
        make = self._makers().get(_type_of(schema))
        return make(schema, place) if make else None

    def _makers(self) -> dict[str, Callable[[_Schema, int], Any]]:
        return {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "number": self._number,
            "integer": self._integer,
            "boolean": lambda *_: True,
        }

    def _merge(self, schema: _Schema) -> _Schema:
        """Replace references and combinations by what they stand for."""
        merged = dict(schema)
        for _ in range(_MOST_VALUES):
            parts: list[Any] = list(merged.pop("allOf", ()))
            if "$ref" in merged:
                parts.append(self._resolve(merged.pop("$ref")))
            for key in ("anyOf", "oneOf"):
                parts += merged.pop(key, [])[:1]
            if not parts:
                break
            for part in parts:
                _add(merged, part)
        return merged

    def _resolve(self, reference: object) -> object:
        """Follow a JSON pointer (RFC 6901) inside the schema."""
        target: object = self._root
        for step in str(reference).removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            target = target.get(name) if isinstance(target, Mapping) else None
        return target

    def _choose(self, options: list[Any], place: int) -> Any:  # noqa: ANN401
        mentioned = [o for o in options if str(o).lower() in self._prompt] or options
        return mentioned[place % len(mentioned)]

    def _object(self, schema: _Schema, _: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        names = schema.get("required") or properties
        return {name: self.of(properties.get(name, {})) for name in names}

    def _array(self, schema: _Schema, _: int) -> list[Any]:
        first = schema.get("prefixItems", [])
        count = max(schema.get("minItems", 1), len(first))
        count = min(count, schema.get("maxItems", count), self._left)
        rest = schema.get("items", {"type": "string"})
        return [
            self.of(first[i] if i < len(first) else rest, i + 1) for i in range(count)
        ]

    def _string(self, schema: _Schema, place: int) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        least = min(schema.get("minLength", 0), _MOST_CHARACTERS)
        most = schema.get("maxLength", _MOST_CHARACTERS)
        texts = self._texts[place:] + self._texts[:place]
        fitting = (text for text in texts if least <= len(text) <= most)
        otherwise: str = texts[0][:most].ljust(least, ".")
        return next(fitting, otherwise)

    def _number(self, schema: _Schema, _: int) -> float:
        return _first_inside(schema, [*self._numbers, *_guesses(schema)])

    def _integer(self, schema: _Schema, _: int) -> int:
        numbers = [*self._numbers, *_guesses(schema)]
        return int(_first_inside(schema, (n for n in numbers if n % 1 == 0)))


def _type_of(schema: _Schema) -> str:
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return next((kind for kind in kinds if kind != "null"), "null")
    if isinstance(kinds, str):
        return kinds
    return "object" if "properties" in schema else "string"


def _add(schema: dict[str, Any], part: object) -> None:
    """Add what a part says to a schema; on a clash the schema wins."""
    if not isinstance(part, Mapping):
        return
    properties = {**part.get("properties", {}), **schema.get("properties", {})}
    required = dict.fromkeys([*schema.get("required", ()), *part.get("required", ())])
    schema |= {**part, **schema}
    if properties:
        schema["properties"] = properties
    if required:
        schema["required"] = list(required)


def _guesses(schema: _Schema) -> Iterable[float]:
    """Numbers that are likely to be allowed, the nicest first."""
    step = float(schema.get("multipleOf", 1))
    least = float(schema.get("minimum", schema.get("exclusiveMinimum", -math.inf)))
    most = float(schema.get("maximum", schema.get("exclusiveMaximum", math.inf)))
    yield from (1.0, 0.0)
    if math.isfinite(least / step):
        lowest = math.ceil(least / step) * step
        yield from (lowest, lowest + step)
    if math.isfinite(most / step):
        highest = math.floor(most / step) * step
        yield from (highest, highest - step)
    if math.isfinite(least + most):
        yield (least + most) / 2


def _first_inside(schema: _Schema, numbers: Iterable[float]) -> float:
    step = schema.get("multipleOf")
    return next(
        (
            number
            for number in numbers
            if schema.get("minimum", -math.inf) <= number
            and number <= schema.get("maximum", math.inf)
            and schema.get("exclusiveMinimum", -math.inf) < number
            and number < schema.get("exclusiveMaximum", math.inf)
            and (not step or number % step == 0)
        ),
        0.0,
    )
