"""Reads the response object of an upstream.

Source: the OpenAI API reference, "The response object".
"""

from typing import Any

from llm_proxy.types import ChatResponse
from llm_proxy.wire.dialect import UpstreamFaultError, WireError
from llm_proxy.wire.gathering import gather
from llm_proxy.wire.openai_responses.errors import failure_detail
from llm_proxy.wire.openai_responses.output_reader import OutputReader
from llm_proxy.wire.reading import read_object


def decode_response(body: bytes) -> ChatResponse:
    """Read a complete answer.

    Args:
        body: The upstream's bytes.

    Returns:
        The answer.

    Raises:
        UpstreamFaultError: The body is an error, or the response has failed.
        WireError: The body is not an answer.
    """
    response = read_whole(body)
    if response.get("status", "completed") not in ("completed", "incomplete"):
        raise WireError("the response has not ended")
    reader = OutputReader()
    chunks = reader.hear_output(response)
    chunks.append(reader.finish(response))
    return gather(chunks)


def read_whole(body: bytes) -> dict[str, Any]:
    """Read a response object that is not one of a stream.

    Args:
        body: The upstream's bytes.

    Returns:
        The object; it has a list as ``output``, a status if that is empty, and has not
        failed.

    Raises:
        UpstreamFaultError: The body is an error, or the response has failed.
        WireError: The body is no response object.
    """
    response = read_object(body)
    if response.get("error") or response.get("status") == "failed":
        raise UpstreamFaultError(failure_detail(response.get("error")))
    if not isinstance(response.get("output"), list):
        raise WireError("the answer has no output")
    if not response["output"] and response.get("status") is None:
        # One that is made in the background is empty at first, but says so.
        raise WireError("the answer is empty and has no status")
    return response
