"""JSON answers of OpenAI's endpoints besides chat, which pass through."""

from collections.abc import Mapping
from typing import Any

from llm_proxy.wire.dialect import Passage, UpstreamFaultError
from llm_proxy.wire.error_detail import error_detail
from llm_proxy.wire.openai_usage import read_usage
from llm_proxy.wire.reading import read_object


def observe_answer(body: bytes) -> Passage:
    """Look at a complete answer.

    Args:
        body: JSON.

    Returns:
        The answer, unchanged.

    Raises:
        WireError: It is no JSON object.
        UpstreamFaultError: It is an error.
    """
    return describe_answer(body, read_object(body))


def describe_answer(body: bytes, fields: Mapping[str, Any]) -> Passage:
    """Say what must be known of an answer.

    Args:
        body: JSON.
        fields: What it says.

    Returns:
        The answer, unchanged.

    Raises:
        UpstreamFaultError: It is an error.
    """
    if fields.get("error"):
        raise UpstreamFaultError(error_detail(fields["error"]))
    model = fields.get("model")
    return Passage(
        body,
        has_content=True,
        usage=read_usage(fields.get("usage")),
        model=model if isinstance(model, str) else None,
    )
