"""What is wrong with a request to Converse, in the vendor's words."""

from collections.abc import Mapping

from pydantic import ValidationError

from llm_proxy.providers.sandbox.dialect import Problem, first_mistake

_RULES: Mapping[str, str] = {
    "missing": "Member must not be null",
    "less_than_equal": "Member must have value less than or equal to {le}",
    "greater_than_equal": "Member must have value greater than or equal to {ge}",
    "string_pattern_mismatch": "Member must satisfy regular expression pattern: "
    "{pattern}",
    "literal_error": "Member must satisfy enum value set: {expected}",
}


def problem_of(error: ValidationError) -> Problem:
    """Say what is wrong with a body.

    Args:
        error: What pydantic found.

    Returns:
        The first of its findings.
    """
    mistake = first_mistake(error)
    if mistake.kind == "json_invalid":
        return Problem(400, "Unable to parse the JSON body", "SerializationException")
    path = ".".join(map(str, mistake.path))
    if mistake.kind == "extra_forbidden":
        return Problem(
            400,
            f"Malformed input request: #: extraneous key [{path}] is not permitted, "
            "please reformat your input and try again.",
        )
    rule = _RULES.get(mistake.kind, mistake.message).format_map(mistake.context)
    return Problem(
        400,
        f"1 validation error detected: Value at '{path}' failed to satisfy "
        f"constraint: {rule}",
    )
