"""Who a token belongs to."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import replace

from llm_proxy.types import ROLES, Principal


class SettingsTokenStore:
    """The tokens of the settings.

    Those of ``API_TOKEN`` may do everything: there may be several so that a new one is
    valid before an old one goes. ``METRICS_TOKEN`` opens nothing but the metrics.

    What is kept of a token is its MAC (keyed BLAKE2b, RFC 7693), so the time of a
    look-up tells nothing about the tokens and does not grow with their number.

    Args:
        tokens: Name to token.
        metrics_token: For who reads the metrics; None for nobody else.
        pepper: What the key of the MAC is made of, so that all processes that have it
            know each other's credentials; None for a key that only this process has.
    """

    def __init__(
        self,
        tokens: Mapping[str, str],
        metrics_token: str | None = None,
        pepper: str | None = None,
    ) -> None:
        given = secrets.token_bytes() if pepper is None else pepper.encode()
        # No key of BLAKE2b is longer than a digest.
        self._key = hashlib.blake2b(given).digest()
        # By credential.
        self._principals: dict[str, Principal] = {}
        if metrics_token is not None:
            scraper = Principal("metrics", scopes=frozenset(("metrics:read",)))
            self._add(metrics_token, scraper)
        for name, token in tokens.items():
            self._add(token, Principal(name, "admin", ROLES["admin"]))

    def find(self, token: str) -> Principal | None:
        """Find whose token it is.

        Args:
            token: As the caller sent it; any text.

        Returns:
            The principal, or None if it is nobody's.
        """
        return self._principals.get(self._digest(token))

    def find_by_credential(self, credential: str) -> Principal | None:
        """Find who has a token, for those who know the caller without it.

        Args:
            credential: As `Principal` has it.

        Returns:
            The principal, or None if the settings have no such token.
        """
        return self._principals.get(credential)

    def _add(self, token: str, principal: Principal) -> None:
        credential = self._digest(token)
        self._principals[credential] = replace(principal, credential=credential)

    def _digest(self, token: str) -> str:
        data = token.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, key=self._key, digest_size=32).hexdigest()
