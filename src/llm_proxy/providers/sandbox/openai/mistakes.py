"""What is wrong with a request, in OpenAI's words.

Source: error bodies of the API, as its users report them.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from llm_proxy.providers.sandbox.dialect import Mistake, Problem, first_mistake

# Below these and in lists of objects, pydantic puts the tag of a union into the path;
# the vendor does not.
_UNIONS = ("response_format", "tool_choice")
_WRONG_TYPE = "Invalid type for '{param}': expected {type}, but got {kind} instead."
_BELOW = "Invalid '{param}': {found} below minimum value. Expected a value >= {ge}."
_ABOVE = "Invalid '{param}': {found} above maximum value. Expected a value <= {le}."
_UNSUPPORTED = "Invalid value for '{param}': supported values are {expected}."
_WORDS = {
    "missing": (
        "Missing required parameter: '{param}'.",
        "missing_required_parameter",
    ),
    "extra_forbidden": ("Unknown parameter: '{param}'.", "unknown_parameter"),
    "greater_than_equal": (_BELOW, "{found}_below_min_value"),
    "less_than_equal": (_ABOVE, "{found}_above_max_value"),
    "literal_error": (_UNSUPPORTED, "invalid_value"),
    "union_tag_invalid": (_UNSUPPORTED, "invalid_value"),
    "string_pattern_mismatch": (
        "Invalid '{param}': string does not match pattern. Expected a string that "
        "matches the pattern '{pattern}'.",
        "invalid_value",
    ),
    "string_too_long": (
        "Invalid '{param}': string too long. Expected a string with maximum length "
        "{max_length}.",
        "string_above_max_length",
    ),
    "too_short": (
        "Invalid '{param}': empty array. Expected an array with minimum length "
        "{min_length}, but got an empty array instead.",
        "empty_array",
    ),
    "too_long": (
        "Invalid '{param}': array too long. Expected an array with maximum length "
        "{max_length}, but got an array with length {actual_length} instead.",
        "array_above_max_length",
    ),
}
_TYPES = {
    "string_type": "a string",
    "int_type": "an integer",
    "float_type": "a decimal",
    "bool_type": "a boolean",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}


def problem_of(error: ValidationError) -> Problem:
    """Say what is wrong with a request.

    Args:
        error: What pydantic found.

    Returns:
        The first mistake, with the parameter at fault.
    """
    mistake = first_mistake(error)
    if mistake.kind == "json_invalid":
        return Problem(400, "We could not parse the JSON body of your request.")
    if mistake.kind == "extra_forbidden" and len(mistake.path) == 1:
        message = f"Unrecognized request argument supplied: {mistake.path[0]}"
        return Problem(400, message)
    kind = "missing" if mistake.kind == "union_tag_not_found" else mistake.kind
    words = _details_of(mistake) | {"param": _parameter_of(mistake)}
    if kind in _TYPES:
        message, code = _WRONG_TYPE, "invalid_type"
        words["type"] = _TYPES[kind]
    elif kind in _WORDS:
        message, code = _WORDS[kind]
    else:
        # A check of our own brings the vendor's sentence and code along.
        return Problem(400, mistake.message, code=kind, param=words["param"])
    return Problem(
        400, message.format(**words), code=code.format(**words), param=words["param"]
    )


def _details_of(mistake: Mistake) -> dict[str, Any]:
    context = dict(mistake.context)
    expected = context.get("expected_tags", context.get("expected"))
    return context | {
        "expected": expected,
        "kind": _kind_of(mistake.value),
        "found": "decimal" if isinstance(mistake.value, float) else "integer",
    }


def _parameter_of(mistake: Mistake) -> str:
    """Write a path as the vendor does, such as ``messages[0].role``."""
    path, before, last = "", None, len(mistake.path) - 1
    for place, step in enumerate(mistake.path):
        if isinstance(step, int):
            path += f"[{step}]"
        elif place == last or not (isinstance(before, int) or before in _UNIONS):
            path += f".{step}"
        before = step
    if mistake.kind.startswith("union_tag_"):
        path += "." + str(mistake.context["discriminator"]).strip("'")
    return path.removeprefix(".")


def _kind_of(value: object) -> str:
    if value is None:
        return "null"
    kinds: Mapping[type, str] = {
        bool: "a boolean",
        int: "an integer",
        float: "a decimal",
        str: "a string",
        list: "an array",
    }
    return kinds.get(type(value), "an object")
