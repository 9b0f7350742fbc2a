"""Anthropic's messages API, the dialect of Claude and of Claude Code."""

from llm_proxy.wire.anthropic_messages.client import API_VERSION, AnthropicMessages
from llm_proxy.wire.anthropic_messages.surface import AnthropicSurface

__all__ = ["API_VERSION", "AnthropicMessages", "AnthropicSurface"]
