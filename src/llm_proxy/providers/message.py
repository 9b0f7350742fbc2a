"""What goes to an upstream, and what makes sense of what comes back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)


class StreamReader(Protocol[T_co]):
    """Reads one stream; `StreamDecoder` and `PassageReader` do."""

    @property
    def done(self) -> bool:
        """Whether the upstream has said its last word."""
        ...

    def feed(self, data: bytes) -> Sequence[T_co]:
        """Take the next bytes."""
        ...

    def close(self) -> Sequence[T_co]:
        """Take the end of the bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request.

    Attributes:
        path: Below the base URL.
        body: The bytes.
        headers: Besides those that every request has.
        patient: Whether the upstream may take the time that callers of `/v1` grant.
        content_type: The media type of `body`.
        method: The HTTP method.
    """

    path: str
    body: bytes
    headers: Sequence[tuple[str, str]] = ()
    patient: bool = False
    content_type: str = "application/json"
    method: str = "POST"
