"""Google's Gemini API, the native one."""

from llm_proxy.wire.gemini.embeddings import (
    decode_embeddings,
    embeddings_path,
    encode_embeddings,
)
from llm_proxy.wire.gemini.gemini import Gemini
from llm_proxy.wire.gemini.stream_reader import GeminiStreamDecoder

__all__ = [
    "Gemini",
    "GeminiStreamDecoder",
    "decode_embeddings",
    "embeddings_path",
    "encode_embeddings",
]
