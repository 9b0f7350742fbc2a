"""What every dialect can do, and how it says that an upstream's bytes are no use."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from llm_proxy.errors import VendorWords
from llm_proxy.types import ChatRequest, ChatResponse, Chunk, FinishReason, Usage


class WireError(ValueError):
    """The bytes are not what the dialect promises; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """What an upstream's error body says.

    Attributes:
        status: The HTTP status it stands for, when the body tells.
        code: The vendor's words for the kind of error, type and code together.
        message: The vendor's sentence; not for logs.
        words: All that the vendor says, for the caller whose mistake it is.
        retry_after_seconds: How long to wait, of vendors who do not say it in a header.
    """

    status: int | None
    code: str
    message: str
    words: VendorWords | None = None
    retry_after_seconds: float | None = None


class UpstreamFaultError(WireError):
    """The upstream reported an error in the place of an answer."""

    def __init__(self, detail: ErrorDetail) -> None:
        super().__init__(f"{detail.code}: {detail.message}")
        self.detail = detail


class Encoded(NamedTuple):
    """A request in a vendor's words.

    Attributes:
        body: JSON.
        dropped: Names of tuning knobs of the request that the vendor does not have.
    """

    body: bytes
    dropped: tuple[str, ...] = ()


class StreamDecoder(Protocol):
    """Turns the bytes of one streamed answer into chunks."""

    @property
    def done(self) -> bool:
        """Whether the upstream has said its last word."""
        ...

    def feed(self, data: bytes) -> list[Chunk]:
        """Take the next bytes; may raise `WireError`."""
        ...

    def close(self) -> list[Chunk]:
        """Take the end of the bytes; `WireError` if the answer is not whole."""
        ...


class Dialect(Protocol):
    """One JSON format of a chat API, from the client's side, as pure functions."""

    @property
    def name(self) -> str:
        """What the format is called, such as ``openai_chat``."""
        ...

    @property
    def stream_type(self) -> str:
        """The media type of streamed answers."""
        ...

    def path(self, model: str, stream: bool) -> str:
        """Say where requests go, below the base URL."""
        ...

    def encode_request(self, model: str, request: ChatRequest, stream: bool) -> Encoded:
        """Write the request's body; `UnsupportedFeatureError` if it cannot be said."""
        ...

    def decode_response(self, body: bytes) -> ChatResponse:
        """Read a complete answer; may raise `WireError`."""
        ...

    def decode_error(self, body: bytes) -> ErrorDetail:
        """Read an error body; never raises."""
        ...

    def stream_decoder(self) -> StreamDecoder:
        """Make the decoder of one stream."""
        ...


class Passage(NamedTuple):
    """Bytes of an answer in the caller's dialect, and what we must know of them.

    Attributes:
        data: For the caller, as they are; whole events if it is a stream.
        has_content: Whether there is anything of the answer in them.
        finish_reason: As in `Chunk`.
        usage: As in `Chunk`.
        model: As in `Chunk`.
        headers: Of the upstream's response, for the caller; on the first passage.
    """

    data: bytes
    has_content: bool = False
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    model: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()


class PassageReader(Protocol):
    """Looks at the bytes of one streamed answer while they pass through."""

    @property
    def done(self) -> bool:
        """Whether the upstream has said its last word."""
        ...

    def feed(self, data: bytes) -> list[Passage]:
        """Take the next bytes; may raise `WireError`."""
        ...

    def close(self) -> list[Passage]:
        """Take the end of the bytes; `WireError` if the answer is not whole.

        What the dialect demands at the end and the upstream left out is made up for.
        """
        ...


@runtime_checkable
class RelayDialect(Dialect, Protocol):
    """A dialect that callers speak too, so that bytes can pass through."""

    def relay_request(
        self, body: bytes, fields: Mapping[str, Any], model: str
    ) -> bytes:
        """Change in a caller's body only what must not reach the upstream as it is.

        `fields` is what `body` says, parsed.
        """
        ...

    def observe(self, body: bytes) -> Passage:
        """Look at a complete answer; may raise `WireError`."""
        ...

    def passage_reader(self, fields: Mapping[str, Any]) -> PassageReader:
        """Make the reader of one stream that answers a request with these fields."""
        ...
