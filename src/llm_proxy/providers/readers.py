"""What is made of a stream of bytes on its way: chunks, passages, or an objection."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from llm_proxy.providers.message import StreamReader
from llm_proxy.types import Chunk
from llm_proxy.wire import Inquiry, Passage, WireError

T = TypeVar("T")


class WholeAnswer(Generic[T]):
    """Reads an answer that is not streamed, although it was asked to be.

    Args:
        decode: Makes sense of the complete answer.
        max_bytes: The most bytes it may have.
    """

    done = False

    def __init__(self, decode: Callable[[bytes], Sequence[T]], max_bytes: int) -> None:
        self._decode = decode
        self._max_bytes = max_bytes
        self._body = bytearray()

    def feed(self, data: bytes) -> Sequence[T]:
        """Take the next bytes; there is nothing to say before the last."""
        self._body += data
        if len(self._body) > self._max_bytes:
            raise WireError("the body is too large")
        return ()

    def close(self) -> Sequence[T]:
        """Take the end of the bytes."""
        return self._decode(bytes(self._body))


class RawBytes:
    """Passes on whatever comes."""

    done = False

    def feed(self, data: bytes) -> Sequence[Passage]:
        """Take the next bytes."""
        return (Passage(data, has_content=True),)

    def close(self) -> Sequence[Passage]:
        """Take the end of the bytes."""
        return ()


class TextWanted:
    """Insists on an answer that has text, and not too much.

    Args:
        reader: Reads the answer.
        empty: Makes the error of an answer without text, from its finish reason.
        max_characters: The most text.
    """

    def __init__(
        self,
        reader: StreamReader[Chunk],
        empty: Callable[[str], Exception],
        max_characters: int,
    ) -> None:
        self._reader = reader
        self._empty = empty
        self._left = max_characters
        self._has_text = False
        self._finish_reason = ""

    @property
    def done(self) -> bool:
        """Whether the upstream has said its last word."""
        return self._reader.done

    def feed(self, data: bytes) -> Sequence[Chunk]:
        """Take the next bytes."""
        return self._check(self._reader.feed(data))

    def close(self) -> Sequence[Chunk]:
        """Take the end of the bytes; an answer without text is none."""
        chunks = self._check(self._reader.close())
        if not self._has_text:
            raise self._empty(self._finish_reason)
        return chunks

    def _check(self, chunks: Sequence[Chunk]) -> Sequence[Chunk]:
        for chunk in chunks:
            self._has_text = self._has_text or bool(chunk.text.strip())
            self._finish_reason = chunk.finish_reason or self._finish_reason
            self._left -= len(chunk.text)
        if self._left < 0:
            raise WireError("the stream is too large")
        return chunks


class Translator:
    """Writes a canonical stream in a caller's dialect.

    Args:
        inquiry: Names the dialect.
    """

    def __init__(self, inquiry: Inquiry) -> None:
        self._encoder = inquiry.surface.stream_encoder(inquiry.asked)

    def write(self, chunks: Sequence[Chunk]) -> Passage:
        """Write what has come.

        Args:
            chunks: What one read from the network brought.

        Returns:
            Its events; there may be none.
        """
        finish_reason = usage = model = None
        has_content = False
        for chunk in chunks:
            has_content = has_content or bool(chunk.text or chunk.delta)
            finish_reason = chunk.finish_reason or finish_reason
            usage = chunk.usage or usage
            model = chunk.model or model
        has_content = has_content or finish_reason is not None
        data = self._encoder.feed(chunks)
        return Passage(data, has_content, finish_reason, usage, model)

    def end(self) -> Passage:
        """Write what ends a whole answer."""
        return Passage(self._encoder.close())


class Translated:
    """Reads a stream in one dialect and writes it in another.

    Args:
        reader: Reads the upstream's.
        translator: Writes the caller's.
    """

    def __init__(self, reader: StreamReader[Chunk], translator: Translator) -> None:
        self._reader = reader
        self._translator = translator

    @property
    def done(self) -> bool:
        """Whether the upstream has said its last word."""
        return self._reader.done

    def feed(self, data: bytes) -> Sequence[Passage]:
        """Take the next bytes."""
        chunks = self._reader.feed(data)
        return (self._translator.write(chunks),) if chunks else ()

    def close(self) -> Sequence[Passage]:
        """Take the end of the bytes."""
        last = self._reader.close()
        end = self._translator.end
        return (self._translator.write(last), end()) if last else (end(),)
