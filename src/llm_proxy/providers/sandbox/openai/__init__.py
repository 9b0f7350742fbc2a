"""OpenAI's chat completions, from the server's side."""

from llm_proxy.providers.sandbox.openai.chat import OpenAI

__all__ = ["OpenAI"]
