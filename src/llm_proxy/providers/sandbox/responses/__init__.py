"""OpenAI's ``/v1/responses``, from the server's side."""

from llm_proxy.providers.sandbox.responses.endpoint import (
    read_input_tokens,
    read_response,
)
from llm_proxy.providers.sandbox.responses.resource import ResponseResource
from llm_proxy.providers.sandbox.responses.store import ResponseStore

__all__ = ["ResponseResource", "ResponseStore", "read_input_tokens", "read_response"]
