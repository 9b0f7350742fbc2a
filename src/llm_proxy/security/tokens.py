"""Who a token belongs to."""

import hashlib
import secrets
from collections.abc import Mapping
from typing import Protocol

from llm_proxy.types import Principal


class TokenStore(Protocol):
    """Knows the valid tokens."""

    def find(self, token: str) -> Principal | None:
        """Return whose token it is, or None if it is nobody's."""
        ...


class SettingsTokenStore:
    """The tokens of ``API_TOKEN``.

    What is kept of a token is its MAC (keyed BLAKE2b, RFC 7693) under a key that only
    this process has, so the time of a look-up tells nothing about the tokens and does
    not grow with their number.

    Args:
        tokens: Name to token.
    """

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._pepper = secrets.token_bytes(32)
        self._principals = {
            self._digest(token): Principal(name) for name, token in tokens.items()
        }

    def find(self, token: str) -> Principal | None:
        """Find whose token it is.

        Args:
            token: As the caller sent it; any text.

        Returns:
            The principal, or None if it is nobody's.
        """
        return self._principals.get(self._digest(token))

    def _digest(self, token: str) -> bytes:
        data = token.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, key=self._pepper, digest_size=32).digest()
