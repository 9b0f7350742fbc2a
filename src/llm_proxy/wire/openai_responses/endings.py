"""How a stream of a response ended, told from the bytes that callers got."""

import re
from typing import Any

import orjson

from llm_proxy.errors import APIError
from llm_proxy.wire.openai_responses.errors import write_failure
from llm_proxy.wire.openai_responses.response_writer import begin_response
from llm_proxy.wire.openai_responses.stream_reader import LARGEST_EVENT_BYTES
from llm_proxy.wire.sse import SSEDecoder
from llm_proxy.wire.surface import Asked

_NUMBER = re.compile(rb'"sequence_number":\s*(\d+)')
_ENDS = (b"response.completed", b"response.incomplete")


def final_response(events: bytes) -> dict[str, Any] | None:
    """Find the response that a stream ends with.

    Args:
        events: Whole events of the stream.

    Returns:
        The response object; None if these are not the last events.
    """
    if not any(end in events for end in _ENDS):
        return None
    return _response_in(events, "response.completed", "response.incomplete")


def failed_event(
    error: APIError, request_id: str, asked: Asked, first: bytes, latest: bytes
) -> bytes:
    """Write the event that ends the stream of a response that broke off.

    Args:
        error: What went wrong.
        request_id: Which request it was.
        asked: What is known of the response's request.
        first: The first events that the caller got.
        latest: The latest.

    Returns:
        ``response.failed``, with the next number.
    """
    begun = _response_in(first, "response.created") or begin_response(asked, "failed")
    numbers = _NUMBER.findall(latest)
    event = {
        "type": "response.failed",
        "sequence_number": int(numbers[-1][:15]) + 1 if numbers else 0,
        "response": {
            **begun,
            "status": "failed",
            "error": write_failure(error, request_id),
        },
    }
    return b"event: response.failed\ndata: %b\n\n" % orjson.dumps(event)


def _response_in(events: bytes, *kinds: str) -> dict[str, Any] | None:
    for _, payload in SSEDecoder(LARGEST_EVENT_BYTES).feed(events):
        try:
            event = orjson.loads(payload)
        except orjson.JSONDecodeError:
            continue
        if isinstance(event, dict) and event.get("type") in kinds:
            response = event.get("response")
            return response if isinstance(response, dict) else None
    return None
