"""Who a token belongs to."""

import hashlib
import secrets
from collections.abc import Mapping

from llm_proxy.types import ROLES, Principal


class SettingsTokenStore:
    """The tokens of the settings.

    Those of ``API_TOKEN`` may do everything: there may be several so that a new one is
    valid before an old one goes. ``METRICS_TOKEN`` opens nothing but the metrics.

    What is kept of a token is its MAC (keyed BLAKE2b, RFC 7693) under a key that only
    this process has, so the time of a look-up tells nothing about the tokens and does
    not grow with their number.

    Args:
        tokens: Name to token.
        metrics_token: For who reads the metrics; None for nobody else.
    """

    def __init__(
        self, tokens: Mapping[str, str], metrics_token: str | None = None
    ) -> None:
        self._pepper = secrets.token_bytes(32)
        self._principals: dict[bytes, Principal] = {}
        if metrics_token is not None:
            scraper = Principal("metrics", scopes=frozenset(("metrics:read",)))
            self._principals[self._digest(metrics_token)] = scraper
        for name, token in tokens.items():
            root = Principal(name, "admin", ROLES["admin"])
            self._principals[self._digest(token)] = root

    def find(self, token: str) -> Principal | None:
        """Find whose token it is.

        Args:
            token: As the caller sent it; any text.

        Returns:
            The principal, or None if it is nobody's.
        """
        return self._principals.get(self._digest(token))

    def find_by_name(self, name: str) -> Principal | None:
        """Find who has a token by the name of it.

        Args:
            name: As `Principal` has it.

        Returns:
            The principal, or None if nobody is called so.
        """
        named = (each for each in self._principals.values() if each.name == name)
        return next(named, None)

    def _digest(self, token: str) -> bytes:
        data = token.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, key=self._pepper, digest_size=32).digest()
