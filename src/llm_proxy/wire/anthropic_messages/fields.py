"""A caller's JSON, read field by field; every complaint names the field."""

import re
from collections.abc import Mapping
from typing import Any, NoReturn

import orjson

from llm_proxy.errors import InvalidInputError, UnsupportedFeatureError

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Fields:
    """One object of a caller's body, and where it stands.

    A field that is null is as good as absent, as in the vendor's own API.

    Args:
        value: The object.
        path: Where it stands, such as ``messages.0``; empty for the whole body.

    Raises:
        InvalidInputError: It is no object.
    """

    def __init__(self, value: object, path: str = "") -> None:
        self.path = path
        if not isinstance(value, Mapping):
            self.fail("", "Input should be an object")
        self.values: Mapping[str, Any] = value

    def at(self, key: str) -> str:
        """Say where a field of the object stands."""
        return ".".join(filter(None, (self.path, key)))

    def fail(self, key: str, problem: str) -> NoReturn:
        """Complain about a field, or with an empty key about the object."""
        details = [{"field": self.at(key), "problem": problem}]
        raise InvalidInputError(details=details)

    def refuse(self, key: str, feature: str) -> NoReturn:
        """Say that a field asks for what only the vendor's own models do."""
        raise UnsupportedFeatureError(
            f"{feature} cannot be translated from the Anthropic dialect",
            details=[{"field": self.at(key), "problem": "Not supported here"}],
        )

    def text(self, key: str) -> str:
        """Read a string that must be there."""
        value = self._required(key)
        if not isinstance(value, str):
            self.fail(key, "Input should be a valid string")
        if not value.isascii() and _LONE_SURROGATE.search(value):
            self.fail(key, "Input should be valid Unicode")
        return value

    def optional_text(self, key: str) -> str:
        """Read a string; empty if there is none."""
        return "" if self.values.get(key) is None else self.text(key)

    def boolean(self, key: str) -> bool | None:
        """Read a boolean; None if there is none."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            self.fail(key, "Input should be a valid boolean")
        return value

    def integer(self, key: str, least: int) -> int | None:
        """Read an integer that is not below `least`; None if there is none."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            self.fail(key, "Input should be a valid integer")
        if value < least:
            self.fail(key, f"Input should be greater than or equal to {least}")
        return value

    def number(self, key: str, most: float) -> float | None:
        """Read a number from 0 to `most`; None if there is none."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool):
            self.fail(key, "Input should be a valid number")
        if not 0 <= value <= most:
            self.fail(key, f"Input should be between 0 and {most:g}")
        return float(value)

    def mapping(self, key: str) -> Mapping[str, Any]:
        """Read an object that must be there, and that JSON can carry on."""
        value = self._required(key)
        if not isinstance(value, Mapping):
            self.fail(key, "Input should be an object")
        self.json(key)
        return value

    def json(self, key: str) -> str:
        """Write a field as JSON."""
        try:
            return orjson.dumps(self.values[key]).decode()
        except TypeError:
            self.fail(key, "Input should be JSON of common size")

    def object(self, key: str) -> "Fields | None":
        """Read an object; None if there is none."""
        value = self.values.get(key)
        return None if value is None else Fields(value, self.at(key))

    def array(self, key: str) -> list[Any]:
        """Read an array; empty if there is none."""
        value = self.values.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.fail(key, "Input should be a valid array")
        return value

    def objects(self, key: str) -> list["Fields"]:
        """Read an array of objects; empty if there is none."""
        return [
            Fields(value, f"{self.at(key)}.{index}")
            for index, value in enumerate(self.array(key))
        ]

    def _required(self, key: str) -> Any:  # noqa: ANN401 - JSON
        value = self.values.get(key)
        if value is None:
            self.fail(key, "Field required")
        return value
