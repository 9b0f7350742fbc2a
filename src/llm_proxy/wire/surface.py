"""What every dialect can do in which callers speak to us."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from llm_proxy.errors import APIError
from llm_proxy.types import ChatRequest, ChatResponse, Chunk


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer has to know of its request.

    Attributes:
        id: Letters and digits that no other answer has; dialects put a prefix before.
        created: Unix time in seconds.
        model: The model that was asked for, where the answer does not say its own.
        fields: The caller's JSON.
    """

    id: str
    created: int
    model: str
    fields: Mapping[str, Any]


class ErrorAnswer(NamedTuple):
    """An error in the caller's dialect: HTTP status and JSON."""

    status: int
    body: dict[str, Any]


class StreamEncoder(Protocol):
    """Writes one streamed answer, event by event."""

    def feed(self, chunks: Sequence[Chunk]) -> bytes:
        """Write whole events; empty if the chunks say nothing that callers hear."""
        ...

    def close(self) -> bytes:
        """Write what ends a whole answer; only after a finish reason was fed."""
        ...


class Surface(Protocol):
    """One JSON format of a chat API, from the server's side, as pure functions."""

    @property
    def name(self) -> str:
        """What the format is called, as in `Dialect`."""
        ...

    @property
    def keepalive(self) -> bytes:
        """What a stream says while there is nothing to say."""
        ...

    def check_request(self, fields: Mapping[str, Any]) -> None:
        """Refuse what no upstream could answer, with `InvalidInputError`."""
        ...

    def decode_request(self, fields: Mapping[str, Any]) -> ChatRequest:
        """Read a request; may raise `InvalidInputError`, `UnsupportedFeatureError`."""
        ...

    def encode_response(self, response: ChatResponse, asked: Asked) -> bytes:
        """Write a complete answer."""
        ...

    def stream_encoder(self, asked: Asked) -> StreamEncoder:
        """Make the encoder of one stream."""
        ...

    def encode_error(self, error: APIError, request_id: str) -> ErrorAnswer:
        """Write an error."""
        ...

    def error_event(self, error: APIError, request_id: str) -> bytes:
        """Write the error that ends a stream."""
        ...
