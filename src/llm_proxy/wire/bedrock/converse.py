"""The dialect as one value."""

from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote

from llm_proxy.types import ChatRequest, ChatResponse
from llm_proxy.wire.bedrock.answers import read_answer
from llm_proxy.wire.bedrock.errors import read_error
from llm_proxy.wire.bedrock.eventstream import MEDIA_TYPE
from llm_proxy.wire.bedrock.requests import write_request
from llm_proxy.wire.bedrock.stream_reader import ConverseStreamReader
from llm_proxy.wire.dialect import Encoded, ErrorDetail


@dataclass(frozen=True, slots=True)
class BedrockConverse:
    """Amazon Bedrock's Converse API; callers do not speak it."""

    name: ClassVar[str] = "bedrock_converse"
    stream_type: ClassVar[str] = MEDIA_TYPE

    def path(self, model: str, stream: bool) -> str:
        """Say where requests go.

        Args:
            model: A model's id, an inference profile's, or an ARN.
            stream: Whether the answer is streamed.

        Returns:
            The path, in which the ``:`` and ``/`` of the model are encoded.
        """
        operation = "converse-stream" if stream else "converse"
        return f"/model/{quote(model, safe='')}/{operation}"

    def encode_request(self, model: str, request: ChatRequest, stream: bool) -> Encoded:
        """Write the request's body.

        Args:
            model: The model stands in the path; here it decides what may be said.
            request: What to ask.
            stream: Stands in the path.

        Returns:
            JSON, and what was dropped.

        Raises:
            UnsupportedFeatureError: Converse cannot do what the request asks for.
        """
        return write_request(model, request)

    def decode_response(self, body: bytes) -> ChatResponse:
        """Read a complete answer.

        Args:
            body: The upstream's bytes.

        Returns:
            The answer; it does not say which model has answered.

        Raises:
            UpstreamFaultError: The model failed.
            WireError: The body is not an answer.
        """
        return read_answer(body)

    def decode_error(self, body: bytes) -> ErrorDetail:
        """Read an error body; never raises."""
        return read_error(body)

    def stream_decoder(self) -> ConverseStreamReader:
        """Make the decoder of one stream."""
        return ConverseStreamReader()
