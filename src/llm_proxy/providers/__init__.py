"""Upstream APIs, one file each, resolved through the registry dict `PROVIDERS`."""

from llm_proxy.providers.anthropic_provider import AnthropicProvider
from llm_proxy.providers.base import Errand, LLMProvider
from llm_proxy.providers.factory import PROVIDERS, ProviderFactory
from llm_proxy.providers.openai_provider import OpenAIProvider
from llm_proxy.providers.readers import Translator

__all__ = [
    "PROVIDERS",
    "AnthropicProvider",
    "Errand",
    "LLMProvider",
    "OpenAIProvider",
    "ProviderFactory",
    "Translator",
]
