"""Azure OpenAI's dated API, in which the deployment stands in the path.

Source: the Azure OpenAI REST API reference, "Chat completions". The API without dates
is OpenAI's own, below ``/openai/v1``.
"""

from dataclasses import dataclass
from urllib.parse import quote

from llm_proxy.wire.openai_chat import OpenAIChat


@dataclass(frozen=True, slots=True)
class AzureChat(OpenAIChat):
    """OpenAI's chat completions at another address.

    Attributes:
        api_version: A date, such as ``2024-10-21``, perhaps with ``-preview``.
    """

    max_tokens_field: str = "max_completion_tokens"
    api_version: str = ""

    def path(self, model: str, stream: bool) -> str:
        """Say where requests go.

        Args:
            model: The name of the deployment.
            stream: Stands in the body.

        Returns:
            The path below ``/openai``, with the version of the API.
        """
        return self.place(model, "/chat/completions")

    def place(self, model: str, path: str) -> str:
        """Say where an endpoint is.

        Args:
            model: The name of the deployment.
            path: The endpoint, such as ``/embeddings``.

        Returns:
            The path below ``/openai``, with the version of the API.
        """
        deployment, version = quote(model, safe=""), quote(self.api_version, safe="")
        return f"/deployments/{deployment}{path}?api-version={version}"
