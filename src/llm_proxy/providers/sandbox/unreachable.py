"""Models that nobody reaches: before HTTP, something goes wrong.

No server can fail so on purpose. The provider ``sandbox`` asks for these models at
addresses at which there is none.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from llm_proxy.providers.sandbox.behaviour import Model, failing
from llm_proxy.providers.sandbox.dialect import Problem

_REACHED = failing(
    Problem(400, "Only the provider 'sandbox' of llm-proxy fails to reach this model.")
)
_ADDRESSES: Mapping[str, str] = {
    # The first port (tcpmux, RFC 1078) has no server anywhere.
    "fault-refused": "http://127.0.0.1:1/v1",
    # RFC 6761, 6.4: no such name is ever found.
    "fault-dns": "http://sandbox.invalid/v1",
    # The sandbox takes the handshake for bad HTTP, and says so in HTTP …
    "fault-tls": "https://127.0.0.1:{port}/v1",
    # … except for this host, whom `SandboxProtocol` leaves without an answer.
    "fault-connect-hang": "https://localhost:{port}/v1",
}

UNREACHABLE: dict[str, Model] = {
    "fault-refused": Model("Nothing listens: the connection is refused", _REACHED),
    "fault-dns": Model("The host's name is not found", _REACHED),
    "fault-tls": Model("TLS is spoken to a port that speaks HTTP", _REACHED),
    "fault-connect-hang": Model("The TLS handshake is never answered", _REACHED),
}


def address_of(model: str, base_url: str) -> str:
    """Say where a model is asked for.

    Args:
        model: A key of `UNREACHABLE`.
        base_url: Where the sandbox is.

    Returns:
        A base URL at which nobody answers.
    """
    return _ADDRESSES[model].format(port=urlsplit(base_url).port or 80)
