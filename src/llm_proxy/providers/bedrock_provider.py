"""Amazon Bedrock."""

import re
from collections.abc import Mapping

import httpx

from llm_proxy.providers.http_provider import HTTPProvider

# "bedrock-runtime.eu-west-1.amazonaws.com", endpoints of FIPS and of private networks.
_REGION = re.compile(r"(?:^|\.)bedrock-runtime(?:-fips)?\.([a-z]{2}[a-z-]*-\d+)\.")


class BedrockProvider(HTTPProvider):
    """Sends an API key as ``Authorization: Bearer``; without one it signs requests.

    Args:
        model: Bedrock's id of a model, an inference profile's, or an ARN.
        connection: How to reach Bedrock.
    """

    @staticmethod
    def key_headers(api_key: str | None) -> Mapping[str, str]:
        """Write the headers that the API demands; see `HTTPProvider.key_headers`."""
        return {"authorization": f"Bearer {api_key}"} if api_key else {}

    async def sign(self, url: httpx.URL, body: bytes) -> Mapping[str, str]:
        """Sign the request; see `HTTPProvider.sign`."""
        signer = self._connection.signer
        return await signer.headers("POST", str(url), body) if signer else {}


def find_region(host: str) -> str:
    """Tell the region of an endpoint.

    Args:
        host: The host's name.

    Returns:
        The region; empty if the name does not tell, as that of a stub.
    """
    match = _REGION.search(host)
    return match[1] if match else ""
