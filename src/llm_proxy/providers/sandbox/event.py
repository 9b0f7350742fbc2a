"""Server-sent events, as the vendors write them."""

from collections.abc import Mapping
from typing import Any

import orjson


def data_event(value: Mapping[str, Any]) -> bytes:
    """Write an event without a name.

    Args:
        value: Its JSON.

    Returns:
        The event, with the empty line that ends it.
    """
    return b"data: " + orjson.dumps(value) + b"\n\n"


def named_event(value: Mapping[str, Any]) -> bytes:
    """Write an event whose name is the ``type`` of its JSON.

    Args:
        value: Its JSON.

    Returns:
        The event, with the empty line that ends it.
    """
    return b"event: " + str(value["type"]).encode() + b"\n" + data_event(value)
