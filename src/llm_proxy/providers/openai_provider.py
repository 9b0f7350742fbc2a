"""OpenAI, and everybody who speaks its dialect."""

from collections.abc import Mapping

from llm_proxy.providers.http_provider import HTTPProvider


class OpenAIProvider(HTTPProvider):
    """Sends the key as ``Authorization: Bearer``."""

    @staticmethod
    def key_headers(api_key: str | None) -> Mapping[str, str]:
        """Write the headers that the API demands; see `HTTPProvider.key_headers`."""
        return {"authorization": f"Bearer {api_key}"} if api_key else {}
