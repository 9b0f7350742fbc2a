"""The sandbox as a provider."""

from dataclasses import dataclass, replace

from llm_proxy.providers.connection import Connection
from llm_proxy.providers.http_provider import HTTPProvider
from llm_proxy.providers.openai_provider import OpenAIProvider
from llm_proxy.providers.sandbox import UNREACHABLE, address_of


@dataclass(slots=True)
class _Elsewhere:
    """The sandbox's server, for a model that cannot be reached."""

    model: str
    connection: Connection
    api_key: str = ""

    async def start(self) -> str:
        server = self.connection.server
        url = self.connection.base_url if server is None else await server.start()
        return address_of(self.model, url)

    async def close(self) -> None:
        """Do nothing: the server belongs to all models."""


class SandboxProvider(HTTPProvider):
    """Asks for models that nobody can reach where nobody is; see `address_of`."""

    key_headers = staticmethod(OpenAIProvider.key_headers)

    def __init__(self, model: str, connection: Connection) -> None:
        if model in UNREACHABLE:
            connection = replace(connection, server=_Elsewhere(model, connection))
        super().__init__(model, connection)
