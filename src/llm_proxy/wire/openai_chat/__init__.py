"""OpenAI's chat completions, in both directions."""

from llm_proxy.wire.openai_chat.dialect import EXTENSIONS, OpenAIChat
from llm_proxy.wire.openai_chat.errors import encode_error, error_event
from llm_proxy.wire.openai_chat.surface import OpenAIChatSurface

__all__ = [
    "EXTENSIONS",
    "OpenAIChat",
    "OpenAIChatSurface",
    "encode_error",
    "error_event",
]
