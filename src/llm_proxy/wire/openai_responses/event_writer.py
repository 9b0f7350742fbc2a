"""Writes the events of one stream, numbered from 0."""

from typing import Any

import orjson


class EventWriter:
    """Gathers events until they are sent."""

    def __init__(self) -> None:
        self._number = 0
        self._events: list[bytes] = []

    def write(self, kind: str, **fields: Any) -> None:  # noqa: ANN401 - JSON
        """Write one event.

        Args:
            kind: Its name and its ``type``.
            fields: What else it says.
        """
        event = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        self._events.append(
            b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(event))
        )

    def write_delta(self, head: bytes, text: str, tail: bytes = b"}\n\n") -> None:
        """Write one event of those that come by the hundred.

        Args:
            head: What `delta_head` wrote.
            text: The piece that the event brings.
            tail: What follows the piece.
        """
        self._events.append(
            b'%b%d,"delta":%b%b' % (head, self._number, orjson.dumps(text), tail)
        )
        self._number += 1

    def take(self) -> bytes:
        """Take what is to be sent.

        Returns:
            Whole events.
        """
        events = b"".join(self._events)
        self._events.clear()
        return events


def delta_head(kind: str, **fields: Any) -> bytes:  # noqa: ANN401 - JSON
    """Write what the events of one text have in common.

    Args:
        kind: Their name and their ``type``.
        fields: What else they say.

    Returns:
        The bytes up to the number of the event.
    """
    common = orjson.dumps({"type": kind, **fields})[:-1]
    return b'event: %b\ndata: %b,"sequence_number":' % (kind.encode(), common)
