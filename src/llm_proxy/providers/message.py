"""What goes to an upstream, and what makes sense of what comes back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

import httpx

T = TypeVar("T")
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
        large: Whether the answer may be as large as callers of `/v1` may read it.
        content_type: The media type of `body`.
        method: The HTTP method.
    """

    path: str
    body: bytes
    headers: Sequence[tuple[str, str]] = ()
    large: bool = False
    content_type: str = "application/json"
    method: str = "POST"


class Beginning(NamedTuple, Generic[T]):
    """How a streamed answer begins.

    Attributes:
        first: What can be said before any byte of the body is read.
        reader: Reads the body.
        has_content: Tells content from what only announces it.
    """

    first: Sequence[T]
    reader: StreamReader[T]
    has_content: Callable[[T], bool]


def media_type_of(response: httpx.Response) -> str:
    """Say what a response claims to hold.

    Args:
        response: The response.

    Returns:
        The media type in lower case, without parameters; empty if it does not say.
    """
    content_type = str(response.headers.get("content-type", ""))
    return content_type.partition(";")[0].strip().lower()
