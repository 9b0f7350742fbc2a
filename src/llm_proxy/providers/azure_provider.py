"""Azure OpenAI."""

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace

from llm_proxy.providers.base import Errand
from llm_proxy.providers.connection import Connection
from llm_proxy.providers.http_provider import HTTPProvider
from llm_proxy.wire import Passage
from llm_proxy.wire.azure import AzureChat

# What people copy from the portal goes too far, or not far enough.
_END = re.compile(r"(/openai)?(/v1)?/*$")


class AzureProvider(HTTPProvider):
    """Sends the key as ``api-key``.

    Args:
        model: The name of the deployment.
        connection: How to reach the resource: with `AzureChat` as its dialect by the
            dated API, else by the API that is OpenAI's own.

    Raises:
        ProviderNotConfiguredError: See `HTTPProvider`.
    """

    def __init__(self, model: str, connection: Connection) -> None:
        dated = isinstance(connection.dialect, AzureChat)
        base_url = find_api(connection.base_url, dated=dated)
        super().__init__(model, replace(connection, base_url=base_url))

    def forward(self, errand: Errand) -> AsyncGenerator[Sequence[Passage], None]:
        """Ask an endpoint besides chat; see `LLMProvider.forward`."""
        dialect = self._connection.dialect
        if isinstance(dialect, AzureChat):
            errand = replace(errand, path=dialect.place(self.model, errand.path))
        return super().forward(errand)

    @staticmethod
    def key_headers(api_key: str | None) -> Mapping[str, str]:
        """Write the headers that the API demands; see `HTTPProvider.key_headers`."""
        return {"api-key": api_key} if api_key else {}


def find_api(endpoint: str, *, dated: bool) -> str:
    """Find the API of a resource.

    Args:
        endpoint: The resource, such as ``https://name.openai.azure.com``, with or
            without the path of the API.
        dated: Whether it is the API whose versions are dates.

    Returns:
        Where the paths of the dialect begin.
    """
    resource = _END.sub("", endpoint, count=1)
    return f"{resource}/openai" if dated else f"{resource}/openai/v1"
