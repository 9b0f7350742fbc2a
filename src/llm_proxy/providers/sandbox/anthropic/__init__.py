"""Anthropic's messages API, from the server's side."""

from llm_proxy.providers.sandbox.anthropic.messages import Anthropic

__all__ = ["Anthropic"]
