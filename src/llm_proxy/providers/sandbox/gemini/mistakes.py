"""What is wrong with a request to the Gemini API, in the vendor's words.

Source: errors of the Gemini API and of the JSON transcoder in front of it.
"""

import re
from collections.abc import Mapping

from pydantic import ValidationError

from llm_proxy.providers.sandbox.dialect import Mistake, Problem, first_mistake

_KINDS: Mapping[str, str] = {
    "string_type": "TYPE_STRING",
    "int_type": "TYPE_INT32",
    "float_type": "TYPE_FLOAT",
    "bool_type": "TYPE_BOOL",
    "bytes": "TYPE_BYTES",
    "literal_error": "TYPE_ENUM",
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
        return Problem(400, "Invalid JSON payload received. Unable to parse JSON.")
    if mistake.kind == "extra_forbidden":
        return _unknown_name(mistake)
    place = _written(mistake.path)
    if kind := _KINDS.get(mistake.kind):
        return Problem(
            400, f"Invalid value at '{place}' ({kind}), {mistake.value!r}", param=place
        )
    return invalid(place, mistake.message)


def invalid(place: str, rule: str) -> Problem:
    """Say that a field has a value of the right type, and yet one that cannot be.

    Args:
        place: The field.
        rule: What it has to be.

    Returns:
        The problem.
    """
    return Problem(400, f"* GenerateContentRequest.{place}: {rule}\n")


def _unknown_name(mistake: Mistake) -> Problem:
    *parents, name = mistake.path
    place = _written(tuple(parents))
    message = f'Invalid JSON payload received. Unknown name "{name}"'
    if place:
        message += f" at '{place}'"
    return Problem(400, f"{message}: Cannot find field.", param=place)


def _written(path: tuple[int | str, ...]) -> str:
    """Write a path like ``generation_config.stop_sequences[0]``."""
    steps = (
        f"[{step}]" if isinstance(step, int) else f".{_in_snake_case(step)}"
        for step in path
    )
    return "".join(steps).removeprefix(".")


def _in_snake_case(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
