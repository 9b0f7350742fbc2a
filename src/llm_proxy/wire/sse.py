"""Server-sent events, parsed from bytes however the network cuts them.

The rules are those of the WHATWG HTML standard, section 9.2.6: lines end in LF, CRLF or
CR; ``data`` lines of one event are joined by LF; comments and unknown fields are
ignored; an event without data is not an event.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from llm_proxy.wire.dialect import WireError
from llm_proxy.wire.reading import is_utf8

MAX_EVENT_BYTES = 1 << 20
# A stream whose lines end now in CR, now in LF only waits longer than it had to.
_EMPTY_LINE = re.compile(rb"\r?\n\r?\n|\r\r(?!\n)")
_LONGEST_EMPTY_LINE = len(b"\r\n\r\n")


# One event: its name (``b""`` if it has none) and its data. A plain tuple, because a
# stream makes hundreds of them and every one is taken apart at once.
ServerSentEvent = tuple[bytes, bytes]


class EventTooLargeError(WireError):
    """A line or an event grew past the bound."""


class SSEDecoder:
    """Turns the bytes of one stream into events.

    Args:
        max_event_bytes: The most bytes a line, or the data of an event, may have.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max = max_event_bytes
        self._tail = bytearray()
        self._after_cr = False
        self._at_start = True
        self._name = b""
        self._data: list[bytes] = []
        self._size = 0
        self._between_events = False

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Take the next bytes.

        Args:
            data: Any number of bytes, cut anywhere.

        Returns:
            The events that these bytes completed.

        Raises:
            EventTooLargeError: A line or an event is over the bound.
        """
        if self._between_events and len(data) <= self._max:
            plain = _plain_events(data)
            if plain is not None:
                return plain
        events: list[ServerSentEvent] = []
        for line in self._complete_lines(data):
            if not line:
                if self._data:
                    events.append(self._take_event())
                self._name = b""
            elif line.startswith(b"data:"):
                value = line[6:] if line[5:6] == b" " else line[5:]
                # One more, or empty lines would be free.
                self._size += len(value) + 1
                if self._size > self._max:
                    raise EventTooLargeError("an event is too large")
                self._data.append(value)
            elif line.startswith(b"event:"):
                self._name = line[6:].removeprefix(b" ")
        self._between_events = not (
            self._tail or self._data or self._name or self._after_cr or self._at_start
        )
        return events

    def _take_event(self) -> ServerSentEvent:
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        self._data = []
        self._size = 0
        return self._name, data

    def _complete_lines(self, data: bytes) -> list[bytes]:
        """Join what was left over with `data` and keep back the unfinished line."""
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if b"\n" not in data and b"\r" not in data:
            self._keep(data)
            return []
        if self._tail:
            self._tail += data
            data = bytes(self._tail)
            self._tail.clear()
        if self._at_start:
            data = data.removeprefix(b"\xef\xbb\xbf")
            self._at_start = False
        lines = data.splitlines()
        last = data[-1:]
        if last == b"\r":
            self._after_cr = True
        elif last != b"\n":
            self._keep(lines.pop())
        return lines

    def _keep(self, data: bytes) -> None:
        self._tail += data
        if len(self._tail) > self._max:
            raise EventTooLargeError("a line is too long")


class WholeEvents:
    """Holds back the last event of a stream until it is whole.

    Args:
        max_event_bytes: The most bytes an event may have before its end has come.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max = max_event_bytes
        self._part = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes.

        Args:
            data: Any number of bytes, cut anywhere.

        Returns:
            The events that are whole, as they came.

        Raises:
            EventTooLargeError: An event is over the bound.
        """
        part = self._part
        if not part and data.endswith(b"\n\n"):
            return data
        start = max(0, len(part) - _LONGEST_EMPTY_LINE + 1)
        part += data
        end = _end_of_events(part, start)
        if not end and len(part) > self._max:
            raise EventTooLargeError("an event is too large")
        whole = bytes(part[:end])
        del part[:end]
        return whole

    def close(self) -> bytes:
        """Take the end of the bytes.

        Returns:
            What was held back, with an empty line behind it; nothing if nothing was.
        """
        rest = bytes(self._part)
        self._part.clear()
        return rest and rest + b"\n\n"


def split_events(events: bytes) -> Iterator[bytes]:
    """Part events from each other.

    Args:
        events: At least one, as `WholeEvents` gives them.

    Yields:
        The same bytes, each event with the empty line that ends it.

    Raises:
        WireError: The next event cannot be read as text.
    """
    if b"\r" in events:
        ends = [match.end() for match in _EMPTY_LINE.finditer(events)][:-1]
        parts = [events[a:b] for a, b in pairwise((0, *ends, len(events)))]
    else:
        parts = [part + b"\n\n" for part in events[:-2].split(b"\n\n")]
    for part in parts:
        if not is_utf8(part):
            raise WireError("an event is not UTF-8")
        yield part


def _end_of_events(data: bytearray, start: int) -> int:
    """Find the end of the last empty line that begins at `start` or behind it."""
    if data.find(b"\r", start) < 0:
        line = data.rfind(b"\n\n", start)
        return line + 2 if line >= 0 else 0
    end = 0
    for match in _EMPTY_LINE.finditer(data, start):
        end = match.end()
    return end


def _plain_events(data: bytes) -> list[ServerSentEvent] | None:
    """Read what upstreams send most often: whole events of one line, or of two.

    In one read either no event has a name, or each has one in its first line.
    """
    if not data.endswith(b"\n\n") or b"\r" in data:
        return None
    lines = data.count(b"\n")
    if data.startswith(b"data: "):
        if lines == 2:
            return [(b"", data[6:-2])]
        payloads = data[6:-2].split(b"\n\ndata: ")
        if lines != 2 * len(payloads):
            return None
        return [(b"", payload) for payload in payloads]
    if data.startswith(b"event: "):
        events: list[ServerSentEvent] = []
        for event in data[7:-2].split(b"\n\nevent: "):
            name, found, payload = event.partition(b"\ndata: ")
            if not found or b"\n" in payload:
                return None
            events.append((name, payload))
        # More line ends than these are lines between a name and its data.
        if lines == 3 * len(events):
            return events
    return None
