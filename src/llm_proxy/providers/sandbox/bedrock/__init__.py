"""Amazon Bedrock's Converse API, from the server's side."""

from llm_proxy.providers.sandbox.bedrock.converse import BEDROCK
from llm_proxy.providers.sandbox.bedrock.paths import (
    read_converse,
    read_converse_stream,
)

__all__ = ["BEDROCK", "read_converse", "read_converse_stream"]
