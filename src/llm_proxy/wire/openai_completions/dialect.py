"""OpenAI's completions from the client's side; servers of open models speak it.

Source: the OpenAI API reference, "Create completion (legacy)".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from llm_proxy.errors import UnsupportedFeatureError
from llm_proxy.types import ChatRequest, ChatResponse, Text
from llm_proxy.wire.dialect import Encoded, ErrorDetail, Passage
from llm_proxy.wire.error_detail import read_error
from llm_proxy.wire.openai_chat.answer_reader import read_response
from llm_proxy.wire.openai_chat.passages import ChatPassageReader
from llm_proxy.wire.openai_chat.relay import observe, relay, relay_usage_wish
from llm_proxy.wire.openai_chat.stream_reader import ChatStreamReader

_KNOBS = (
    "max_tokens",
    "temperature",
    "top_p",
    "stop",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "user",
)
_NO_KNOBS = (
    "parallel_tool_calls",
    "reasoning",
    "top_k",
    "service_tier",
    "verbosity",
)


@dataclass(frozen=True, slots=True)
class OpenAICompletions:
    """The dialect from the client's side.

    Attributes:
        stream_usage: Whether ``stream_options.include_usage`` may be sent.
    """

    name: ClassVar[str] = "openai_completions"
    stream_type: ClassVar[str] = "text/event-stream"

    stream_usage: bool = True

    def path(self, model: str, stream: bool) -> str:
        """Say where requests go, below the base URL."""
        return "/completions"

    def encode_request(self, model: str, request: ChatRequest, stream: bool) -> Encoded:
        """Write the request's body.

        Args:
            model: The upstream's name of the model.
            request: What to ask; one turn of text.
            stream: Whether the answer comes as server-sent events.

        Returns:
            JSON, and what was dropped.

        Raises:
            UnsupportedFeatureError: It is more than one text.
        """
        body: dict[str, Any] = {"model": model, "prompt": _prompt(request)}
        for name in _KNOBS:
            value = getattr(request, name)
            # Zero is a setting; an empty text or list is none.
            if value is not None and value not in ("", ()):
                body[name] = value
        if stream:
            body["stream"] = True
            if self.stream_usage:
                body["stream_options"] = {"include_usage": True}
        dropped = [
            name for name in _NO_KNOBS if getattr(request, name) not in (None, "")
        ]
        return Encoded(orjson.dumps(body), tuple(dropped))

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
        """Change in a caller's body only what must not reach the upstream as it is."""
        changes = relay_usage_wish(fields) if self.stream_usage else {}
        return relay(body, fields, model, changes)

    def observe(self, body: bytes) -> Passage:
        """Look at a complete answer; may raise `WireError`."""
        return observe(body)

    def passage_reader(self, fields: Mapping[str, Any]) -> ChatPassageReader:
        """Make the reader of one stream that answers a request with these fields."""
        return ChatPassageReader(fields)


def _prompt(request: ChatRequest) -> str:
    turns = request.messages
    parts = turns[0].content if len(turns) == 1 else ()
    is_text = len(turns) == 1 and all(isinstance(part, Text) for part in parts)
    form = request.response_format
    if not is_text or request.tools or (form is not None and form.required):
        raise UnsupportedFeatureError(
            "The model's provider, which speaks openai_completions, supports nothing "
            "but a single text",
            details=[{"field": "messages", "problem": "must be one text"}],
        )
    return turns[0].text
