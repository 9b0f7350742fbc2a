"""Dialects: the JSON formats of chat APIs as pure functions, without I/O."""

from llm_proxy.wire.anthropic_messages import (
    API_VERSION,
    AnthropicMessages,
    AnthropicSurface,
)
from llm_proxy.wire.azure import AzureChat
from llm_proxy.wire.bedrock import BedrockConverse
from llm_proxy.wire.counting import asked_texts, delivered_texts
from llm_proxy.wire.dialect import (
    Dialect,
    Encoded,
    ErrorDetail,
    Passage,
    PassageReader,
    RelayDialect,
    StreamDecoder,
    UpstreamFaultError,
    WireError,
)
from llm_proxy.wire.gathering import gather
from llm_proxy.wire.gemini import Gemini
from llm_proxy.wire.inquiry import Inquiry
from llm_proxy.wire.openai_chat import EXTENSIONS, OpenAIChat, OpenAIChatSurface
from llm_proxy.wire.openai_completions import (
    OpenAICompletions,
    OpenAICompletionsSurface,
)
from llm_proxy.wire.openai_responses import (
    OpenAIResponses,
    OpenAIResponsesSurface,
)
from llm_proxy.wire.scattering import scatter
from llm_proxy.wire.splice import splice
from llm_proxy.wire.surface import Asked, ErrorAnswer, StreamEncoder, Surface
from llm_proxy.wire.texts import latest_texts

__all__ = [
    "API_VERSION",
    "EXTENSIONS",
    "AnthropicMessages",
    "AnthropicSurface",
    "Asked",
    "AzureChat",
    "BedrockConverse",
    "Dialect",
    "Encoded",
    "ErrorAnswer",
    "ErrorDetail",
    "Gemini",
    "Inquiry",
    "OpenAIChat",
    "OpenAIChatSurface",
    "OpenAICompletions",
    "OpenAICompletionsSurface",
    "OpenAIResponses",
    "OpenAIResponsesSurface",
    "Passage",
    "PassageReader",
    "RelayDialect",
    "StreamDecoder",
    "StreamEncoder",
    "Surface",
    "UpstreamFaultError",
    "WireError",
    "asked_texts",
    "delivered_texts",
    "gather",
    "latest_texts",
    "scatter",
    "splice",
]
