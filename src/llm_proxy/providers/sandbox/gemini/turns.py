"""Which part may stand where in a conversation with the Gemini API.

Source: the Gemini API's pages "Function calling" and "Thought signatures".
"""

from collections.abc import Iterator, Sequence

from llm_proxy.providers.sandbox.conversation import ToolResult
from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.gemini.contents import (
    Content,
    FunctionCall,
    FunctionResponse,
    Part,
    text_in,
)
from llm_proxy.providers.sandbox.gemini.mistakes import invalid
from llm_proxy.providers.sandbox.gemini.model_id import ModelID
from llm_proxy.providers.sandbox.gemini.signatures import NO_SIGNATURE, is_genuine


def check_contents(contents: Sequence[Content], model: ModelID) -> Problem | None:
    """Find what is wrong with contents that are well-formed.

    Args:
        contents: The contents.
        model: The model that is asked.

    Returns:
        The first thing that the vendor would not take.
    """
    if not contents:
        return invalid("contents", "contents is not specified")
    found = (
        check_parts(content, f"contents[{place}]")
        for place, content in enumerate(contents)
    )
    return (
        next(filter(None, found), None)
        or _check_calls(contents)
        or _check_media(contents, model)
        or _check_signatures(contents, model)
    )


def check_parts(content: Content, path: str) -> Problem | None:
    """Find out whether every part says something, and may.

    Args:
        content: One content.
        path: Where it is.

    Returns:
        The first part that does not.
    """
    if not content.parts:
        return invalid(f"{path}.parts", "contents.parts must not be empty.")
    for place, part in enumerate(content.parts):
        problem = _check_part(part, f"{path}.parts[{place}]", content)
        if problem is not None:
            return problem
    return None


def results_in(contents: Sequence[Content]) -> tuple[ToolResult, ...]:
    """Collect the results with which a conversation ends.

    Args:
        contents: All contents.

    Returns:
        What came of the calls of the last answer.
    """
    last = contents[-1].responses
    return tuple(ToolResult(each.name, text_in(each)) for each in last)


def _check_part(part: Part, path: str, content: Content) -> Problem | None:
    if len(part.data) > 1:
        message = "oneof field 'data' is already set. Cannot set '{}'"
        return Problem(
            400, f"Invalid value at '{path}' (oneof), {message.format(part.data[1])}"
        )
    # An empty text is only the carrier of a signature.
    if not part.data or (part.text == "" and not part.thought_signature):
        rule = "required oneof field 'data' must have one initialized field"
        return invalid(f"{path}.data", rule)
    if part.function_call and not content.by_model:
        return Problem(
            400, "Please ensure that function calls are in contents of the role model."
        )
    if part.function_response and content.by_model:
        return Problem(
            400,
            "Please ensure that function responses are in contents of the role user.",
        )
    return None


def _check_calls(contents: Sequence[Content]) -> Problem | None:
    """Demand that calls follow a user, and that their results follow at once."""
    before: Content | None = None
    for content in contents:
        if content.calls and (before is None or before.by_model):
            return Problem(
                400,
                "Please ensure that function call turn comes immediately after a user "
                "turn or after a function response turn.",
            )
        calls = before.calls if before else []
        if content.responses and not calls:
            return Problem(
                400,
                "Please ensure that function response turn comes immediately after a "
                "function call turn.",
            )
        if not _belong_together(calls, content.responses):
            return _unanswered()
        before = content
    return _unanswered() if before and before.calls else None


def _belong_together(
    calls: Sequence[FunctionCall], responses: Sequence[FunctionResponse]
) -> bool:
    names = sorted(call.name for call in calls)
    if sorted(response.name for response in responses) != names:
        return False
    ids = {call.id for call in calls} | {None}
    return all(response.id in ids for response in responses)


def _unanswered() -> Problem:
    return Problem(
        400,
        "Please ensure that the number of function response parts is equal to the "
        "number of function call parts of the function call turn.",
    )


def _check_media(contents: Sequence[Content], model: ModelID) -> Problem | None:
    responses = [each for content in contents for each in content.responses]
    if model.is_gemini_3 or not any(response.parts for response in responses):
        return None
    return Problem(
        400, "Multimodal function responses are not supported by this model."
    )


def _check_signatures(contents: Sequence[Content], model: ModelID) -> Problem | None:
    for content in contents:
        for part in content.parts:
            signature = part.thought_signature
            skips = signature == NO_SIGNATURE and model.is_gemini_3
            if signature and not skips and not is_genuine(signature):
                return Problem(400, "Thought signature is not valid.")
    if not model.is_gemini_3:
        return None
    return next(filter(None, map(_unsigned, _current_turn(contents))), None)


def _current_turn(contents: Sequence[Content]) -> Iterator[tuple[int, Content]]:
    """List what the model has said since the user spoke, the latest first."""
    for place, content in reversed([*enumerate(contents, start=1)]):
        if content.by_model:
            yield place, content
        elif not content.responses:
            return


def _unsigned(numbered: tuple[int, Content]) -> Problem | None:
    """Demand a signature from the first call of a step."""
    place, content = numbered
    calls = [part for part in content.parts if part.function_call]
    if not calls or calls[0].thought_signature:
        return None
    name = content.calls[0].name
    return Problem(
        400,
        "Function call is missing a thought_signature in functionCall parts. This is "
        "required for tools to work correctly, and missing thought_signature may lead "
        "to degraded model performance. Additional data, function call "
        f"`default_api:{name}` , position {place}. Please refer to "
        "https://ai.google.dev/gemini-api/docs/thought-signatures for more details.",
    )
