"""Anthropic's ``POST /v1/messages/count_tokens``, from the server's side."""

from typing import Any

import orjson

from llm_proxy.providers.sandbox.anthropic import Anthropic
from llm_proxy.providers.sandbox.conversation import Answer
from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.endpoint import Asked, ReceivedRequest

# A budget for thinking has to be smaller than this.
_ENOUGH_TO_THINK = 1_000_000
_ONLY_MESSAGES_HAVE = ("max_tokens", "stream", "temperature", "stop_sequences")


class _CountTokens(Anthropic):
    """The dialect of the endpoint: the answer is how long the question is."""

    def write(self, answer: Answer) -> dict[str, Any]:
        """Write the count; a model that reports no usage leaves it out."""
        return {} if answer.tokens is None else {"input_tokens": answer.tokens.input}


def read_count_tokens(request: ReceivedRequest) -> Asked | Problem:
    """Read a request to count the tokens of messages.

    Args:
        request: The request.

    Returns:
        What is asked.
    """
    dialect = _CountTokens()
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        return Problem(400, "The body must be a JSON object.")
    for name in _ONLY_MESSAGES_HAVE:
        if name in body:
            return Problem(400, f"{name}: Extra inputs are not permitted")
    question = dialect.read(orjson.dumps(body | {"max_tokens": _ENOUGH_TO_THINK}))
    return question if isinstance(question, Problem) else Asked(question, dialect)
