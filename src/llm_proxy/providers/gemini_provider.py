"""Google's Gemini API."""

from collections.abc import Mapping

from llm_proxy.providers.http_provider import HTTPProvider


class GeminiProvider(HTTPProvider):
    """Sends the key as ``x-goog-api-key``: a key in the URL would stand in logs."""

    @staticmethod
    def key_headers(api_key: str | None) -> Mapping[str, str]:
        """Write the headers that the API demands; see `HTTPProvider.key_headers`."""
        return {"x-goog-api-key": api_key} if api_key else {}
