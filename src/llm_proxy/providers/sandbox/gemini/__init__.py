"""Google's Gemini API, the native one, from the server's side."""

from llm_proxy.providers.sandbox.gemini.embeddings import read_batch_embeddings
from llm_proxy.providers.sandbox.gemini.gemini import GEMINI
from llm_proxy.providers.sandbox.gemini.generation import (
    read_generation,
    read_streamed_generation,
)
from llm_proxy.providers.sandbox.gemini.model_list import list_models, show_model

__all__ = [
    "GEMINI",
    "list_models",
    "read_batch_embeddings",
    "read_generation",
    "read_streamed_generation",
    "show_model",
]
