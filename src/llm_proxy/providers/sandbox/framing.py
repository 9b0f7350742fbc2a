"""How events follow each other in a stream, whatever they say."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol


class Framing(Protocol):
    """Knows a stream from the outside.

    Attributes:
        media_type: The content type of such streams.
        broken_event: An event that no client can read.
        idle_event: An event that says nothing.
    """

    media_type: str
    broken_event: bytes
    idle_event: bytes

    def make_noise(self, event: bytes) -> Sequence[bytes]:
        """Send an event in an unusual way, after some that nobody needs.

        Args:
            event: An event of the answer.

        Returns:
            The noise and the event.
        """
        ...

    def fill(
        self, event: bytes, mark: bytes, filling: Sequence[bytes]
    ) -> Iterable[bytes]:
        """Put bytes into an event.

        Args:
            event: An event of the answer.
            mark: What they replace; without it they come last.
            filling: The bytes, in pieces.

        Returns:
            The event in pieces.
        """
        ...

    def rewrite(self, event: bytes, change: Callable[[bytes], bytes]) -> bytes:
        """Change what an event says.

        Args:
            event: An event of the answer.
            change: Gets its JSON, or the word it has instead, and returns another.

        Returns:
            The other event.
        """
        ...


class ServerSentEvents:
    """Source: the HTML standard, "Server-sent events"."""

    media_type = "text/event-stream; charset=utf-8"
    broken_event = b'data: {"id": "broken\n\n'
    idle_event = b": still here\n\n"

    def make_noise(self, event: bytes) -> Sequence[bytes]:
        """Add comments, ``retry:``, ``id:`` and an unknown event; use CRLF."""
        return (
            b": a comment\r\nretry: 3000\r\n\r\n",
            b'event: heartbeat\r\nid: 1\r\ndata: {"type": "heartbeat"}\r\n\r\n',
            event.replace(b"\n", b"\r\n"),
        )

    def fill(
        self, event: bytes, mark: bytes, filling: Sequence[bytes]
    ) -> Iterable[bytes]:
        """Replace the mark; an event does not say how long it is."""
        before, _, after = event.partition(mark)
        return (before, *filling, after)

    def rewrite(self, event: bytes, change: Callable[[bytes], bytes]) -> bytes:
        """Change the data; what is no event is changed as a whole."""
        before, mark, data = event.partition(b"data: ")
        if not mark:
            return change(event)
        return before + mark + change(data.removesuffix(b"\n\n")) + b"\n\n"


SSE = ServerSentEvents()
