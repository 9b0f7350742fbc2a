"""JSON on its way to a caller."""

from collections.abc import Iterable

import orjson
from fastapi import Response


def json_response(
    content: object, headers: Iterable[tuple[bytes, bytes]] = ()
) -> Response:
    """Answer with JSON.

    Args:
        content: Bytes that are JSON already, or what is to be written.
        headers: Raw, besides those that every response has.

    Returns:
        The response, with status 200.
    """
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    response = Response(body, media_type="application/json")
    response.raw_headers += headers
    return response
