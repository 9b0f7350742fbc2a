"""Anthropic."""

from collections.abc import Mapping

from llm_proxy.providers.http_provider import HTTPProvider
from llm_proxy.wire.anthropic_messages import API_VERSION
from llm_proxy.wire.anthropic_messages.claude import Claude


class AnthropicProvider(HTTPProvider):
    """Sends the key as ``x-api-key``, and the version of the API it was made for."""

    @staticmethod
    def key_headers(api_key: str | None) -> Mapping[str, str]:
        """Write the headers that the API demands; see `HTTPProvider.key_headers`."""
        version = {"anthropic-version": API_VERSION}
        return version | {"x-api-key": api_key} if api_key else version

    @property
    def prefills(self) -> bool:
        """Whether the model goes on from the beginning of an answer of its own."""
        return Claude.named(self.model).prefill
