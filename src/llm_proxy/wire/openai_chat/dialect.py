"""OpenAI's chat completions from the client's side; most providers speak it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from llm_proxy.types import ChatRequest, ChatResponse
from llm_proxy.wire.dialect import Encoded, ErrorDetail, Passage
from llm_proxy.wire.error_detail import read_error
from llm_proxy.wire.openai_chat.answer_reader import read_response
from llm_proxy.wire.openai_chat.message_writer import Words
from llm_proxy.wire.openai_chat.passages import ChatPassageReader
from llm_proxy.wire.openai_chat.relay import (
    observe,
    relay,
    relay_max_tokens,
    relay_roles,
    relay_usage_wish,
)
from llm_proxy.wire.openai_chat.request_writer import Limits, write_request
from llm_proxy.wire.openai_chat.stream_reader import ChatStreamReader

EXTENSIONS = frozenset(("top_k", "cache", "thinking", "signature"))


@dataclass(frozen=True, slots=True)
class OpenAIChat:
    """The dialect, with what differs between those who speak it.

    Attributes:
        max_tokens_field: The name of the field that bounds the answer.
        stream_usage: Whether ``stream_options.include_usage`` may be sent.
        json_schema: Whether a form of the answer that is not required is sent.
        developer_role: Whether there is a role ``developer`` beside ``system``.
        custom_tools: Whether there are tools that take free text.
        text_lists: Whether content may be a list although it is text alone.
        lacks: What it would refuse and is dropped: canonical names of tuning knobs,
            ``thinking`` (of earlier turns) and ``signature`` (of tool calls).
    """

    name: ClassVar[str] = "openai_chat"
    stream_type: ClassVar[str] = "text/event-stream"

    max_tokens_field: str = "max_tokens"
    stream_usage: bool = True
    json_schema: bool = False
    developer_role: bool = False
    custom_tools: bool = False
    text_lists: bool = True
    lacks: frozenset[str] = EXTENSIONS

    def path(self, model: str, stream: bool) -> str:
        """Say where requests go, below the base URL."""
        return "/chat/completions"

    def encode_request(self, model: str, request: ChatRequest, stream: bool) -> Encoded:
        """Write the request's body.

        Args:
            model: The upstream's name of the model.
            request: What to ask.
            stream: Whether the answer comes as server-sent events.

        Returns:
            JSON, and what was dropped. Without options the body is exactly
            ``{"model", "messages"}``.

        Raises:
            UnsupportedFeatureError: The dialect cannot say it.
        """
        words = Words(
            developer=self.developer_role,
            lists=self.text_lists,
            custom=self.custom_tools,
            cache="cache" not in self.lacks,
            thinking="thinking" not in self.lacks,
            signature="signature" not in self.lacks,
        )
        limits = Limits(self.max_tokens_field, self.json_schema, self.lacks)
        body, dropped = write_request(model, request, words, limits)
        if stream:
            body["stream"] = True
            if self.stream_usage:
                body["stream_options"] = {"include_usage": True}
        return Encoded(orjson.dumps(body), dropped)

    def decode_response(self, body: bytes) -> ChatResponse:
        """Read a complete answer; may raise `WireError`."""
        return read_response(body)

    def decode_error(self, body: bytes) -> ErrorDetail:
        """Read an error body; never raises."""
        return read_error(body)

    def stream_decoder(self) -> ChatStreamReader:
        """Make the decoder of one stream."""
        return ChatStreamReader()

    def relay_request(
        self, body: bytes, fields: Mapping[str, Any], model: str
    ) -> bytes:
        """Change in a caller's body only what must not reach the upstream as it is.

        Args:
            body: The caller's JSON.
            fields: What it says.
            model: The upstream's name of the model.

        Returns:
            The upstream's JSON.
        """
        changes: dict[str, bytes | None] = {}
        if self.stream_usage:
            changes |= relay_usage_wish(fields)
        if self.max_tokens_field == "max_tokens":
            changes |= relay_max_tokens(fields)
        if not self.developer_role:
            changes |= relay_roles(fields)
        return relay(body, fields, model, changes)

    def observe(self, body: bytes) -> Passage:
        """Look at a complete answer; may raise `WireError`."""
        return observe(body)

    def passage_reader(self, fields: Mapping[str, Any]) -> ChatPassageReader:
        """Make the reader of one stream that answers a request with these fields."""
        return ChatPassageReader(fields)
