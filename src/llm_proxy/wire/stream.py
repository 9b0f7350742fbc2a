"""A stream that ends, or that breaks: what came before a fault is not lost with it."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from llm_proxy.wire.dialect import WireError

T = TypeVar("T")


class Stream(ABC, Generic[T]):
    """Reads one streamed answer; a `StreamDecoder` or a `PassageReader`.

    Subclasses say what the bytes mean. One read from the network may bring pieces of
    the answer and a fault behind them: the pieces are handed out, then `close` raises.

    Attributes:
        done: Whether there is nothing more to read: the upstream has said its last
            word, or a fault has ended the answer.
    """

    def __init__(self) -> None:
        self.done = False
        self._fault: WireError | None = None

    def feed(self, data: bytes) -> list[T]:
        """Take the next bytes.

        Args:
            data: Any number of bytes, cut anywhere.

        Returns:
            What they said, oldest first; nothing once the stream is done.

        Raises:
            UpstreamFaultError: They begin with an event that is an error.
            WireError: They begin with an event that is damaged or too large.
        """
        pieces: list[T] = []
        if not self.done:
            try:
                self._read(data, pieces)
            except WireError as fault:
                if not pieces:
                    raise
                self._fault = fault
                self.done = True
        return pieces

    def close(self) -> list[T]:
        """Take the end of the bytes.

        Returns:
            What there is to add.

        Raises:
            WireError: The answer is not whole, or the fault came that broke it off.
        """
        if self._fault is not None:
            raise self._fault
        return self._end()

    @abstractmethod
    def _read(self, data: bytes, pieces: list[T]) -> None:
        """Add what the bytes say, piece by piece; stop where `done` is set."""

    @abstractmethod
    def _end(self) -> list[T]:
        """Make up for what the upstream left out; `WireError` if that is too much."""
