"""The form of the answers that are data, as JSON schemas."""

from collections.abc import Mapping
from typing import Any

from llm_proxy.tasks.task import TaskType

SENTIMENTS = ("positive", "negative", "neutral", "mixed")
ENTITY_KINDS = (
    *("person", "organization", "location", "date"),
    *("money", "product", "event", "other"),
)


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    """A closed object: the strict modes of providers take no other."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


RESPONSE_SCHEMAS: dict[TaskType, Mapping[str, Any]] = {
    "keywords": _object({"keywords": {"type": "array", "items": {"type": "string"}}}),
    "sentiment": _object(
        {
            "label": {"type": "string", "enum": list(SENTIMENTS)},
            "score": {"type": "number"},
        }
    ),
    "entities": _object(
        {
            "entities": {
                "type": "array",
                "items": _object(
                    {
                        "text": {"type": "string"},
                        "kind": {"type": "string", "enum": list(ENTITY_KINDS)},
                    }
                ),
            }
        }
    ),
}
