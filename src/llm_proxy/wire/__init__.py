"""Dialects: the JSON formats of chat APIs as pure functions, without I/O."""

from llm_proxy.wire.anthropic_messages import AnthropicMessages
from llm_proxy.wire.dialect import (
    Dialect,
    ErrorDetail,
    StreamDecoder,
    UpstreamFaultError,
    WireError,
)
from llm_proxy.wire.openai_chat import OpenAIChat

__all__ = [
    "AnthropicMessages",
    "Dialect",
    "ErrorDetail",
    "OpenAIChat",
    "StreamDecoder",
    "UpstreamFaultError",
    "WireError",
]
