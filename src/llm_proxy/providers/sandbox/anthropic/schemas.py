"""Which JSON schemas Anthropic's API takes.

Source: the Anthropic guide "Structured outputs", "JSON Schema limitations".
"""

from collections.abc import Mapping
from typing import Any

from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.json_schema import is_json_schema
from llm_proxy.providers.sandbox.strict_schema import find_looseness


def check_schema(
    path: str, schema: Mapping[str, Any], *, strict: bool
) -> Problem | None:
    """Find what is wrong with a schema.

    Args:
        path: Where it is.
        schema: A JSON object.
        strict: It has to leave a model no freedom.

    Returns:
        A problem if it is no JSON schema, or is not strict and has to be.
    """
    if not is_json_schema(schema):
        return Problem(
            400,
            f"{path}: JSON schema is invalid. It must match JSON Schema draft 2020-12 "
            "(https://json-schema.org/draft/2020-12).",
        )
    found = find_looseness(schema, all_required=False) if strict else None
    return Problem(400, f"{path}: {found}") if found else None
