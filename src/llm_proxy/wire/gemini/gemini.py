"""The Gemini API, from the client's side.

Source: the Gemini API reference, "Generating content", version v1beta.
"""

from dataclasses import dataclass

from llm_proxy.types import ChatRequest, ChatResponse
from llm_proxy.wire.dialect import Encoded, ErrorDetail
from llm_proxy.wire.error_detail import read_error
from llm_proxy.wire.gemini.answers import read_answer
from llm_proxy.wire.gemini.models import model_path
from llm_proxy.wire.gemini.request_writer import write_request
from llm_proxy.wire.gemini.stream_reader import GeminiStreamDecoder


@dataclass(frozen=True, slots=True)
class Gemini:
    """The dialect.

    Attributes:
        name: What the format is called.
        stream_type: The media type of streamed answers.
    """

    name: str = "gemini"
    stream_type: str = "text/event-stream"

    def path(self, model: str, stream: bool) -> str:
        """Say where requests go, below the base URL.

        Args:
            model: ``gemini-2.5-flash``, ``models/gemini-2.5-flash`` or
                ``tunedModels/mine``.
            stream: Whether the answer comes as server-sent events; without ``alt=sse``
                it would come as one JSON array.

        Returns:
            The path; nothing in the model's name can lead to another one.
        """
        if stream:
            return f"{model_path(model)}:streamGenerateContent?alt=sse"
        return f"{model_path(model)}:generateContent"

    def encode_request(self, model: str, request: ChatRequest, stream: bool) -> Encoded:
        """Write the request's body.

        Args:
            model: The upstream's name of the model; what it can do decides how
                thoughts, schemas and results of tools are written.
            request: What to ask.
            stream: Makes no difference to the body.

        Returns:
            JSON, and which tuning knobs it leaves out.

        Raises:
            InvalidInputError: The conversation is one that no model can go on with.
            UnsupportedFeatureError: The API or the model cannot do what is asked.
        """
        return write_request(model, request)

    def decode_response(self, body: bytes) -> ChatResponse:
        """Read a complete answer.

        Args:
            body: The upstream's bytes.

        Returns:
            The answer; it has no parts if the prompt or the answer was blocked.

        Raises:
            UpstreamFaultError: The body is an error.
            WireError: The body is not an answer.
        """
        return read_answer(body)

    def decode_error(self, body: bytes) -> ErrorDetail:
        """Read an error body; never raises."""
        return read_error(body)

    def stream_decoder(self) -> GeminiStreamDecoder:
        """Make the decoder of one stream."""
        return GeminiStreamDecoder()
