"""OpenAI's completions, in both directions; the API is older than chat completions."""

from llm_proxy.wire.openai_completions.dialect import OpenAICompletions
from llm_proxy.wire.openai_completions.surface import OpenAICompletionsSurface

__all__ = ["OpenAICompletions", "OpenAICompletionsSurface"]
