"""Whose credential it is, whatever kind of credential."""

from llm_proxy.security.access_tokens import AccessTokens, Claims
from llm_proxy.security.key_ring import KeyRing
from llm_proxy.security.oidc import OIDC
from llm_proxy.security.signed_token import looks_like_jwt
from llm_proxy.security.tokens import SettingsTokenStore
from llm_proxy.security.virtual_key import EndedKey, is_key_id
from llm_proxy.types import Principal


class Identities:
    """Knows everybody who may have a credential.

    Args:
        tokens: Those of the settings.
        ring: Virtual keys; None where there are none.
        access_tokens: Short-lived tokens of our own; None where none are issued.
        oidc: An identity provider; None without one.
    """

    def __init__(
        self,
        tokens: SettingsTokenStore,
        ring: KeyRing | None = None,
        access_tokens: AccessTokens | None = None,
        oidc: OIDC | None = None,
    ) -> None:
        self._tokens = tokens
        self._ring = ring
        self._access_tokens = access_tokens
        self._oidc = oidc

    def known(self, token: str) -> Principal | None:
        """Find whose credential it is, as far as that is known without waiting.

        Args:
            token: As the caller sent it; any text.

        Returns:
            The caller; None says nothing.
        """
        principal = self._tokens.find(token)
        if principal is None and self._ring is not None:
            principal = self._ring.cached(token)
        return principal

    async def find(self, token: str) -> Principal | None:
        """Find whose credential it is.

        Args:
            token: As the caller sent it; any text.

        Returns:
            The caller, or None if it is nobody's.

        Raises:
            StorageUnavailableError: That cannot be found out now.
            IdentityProviderUnavailableError: Neither can this.
        """
        if not looks_like_jwt(token):
            return None if self._ring is None else await self._ring.find(token)
        principal = None
        if self._access_tokens is not None:
            principal = await self._access_tokens.resolve(token, self._find_issued)
        if principal is None and self._oidc is not None:
            principal = await self._oidc.find(token)
        return principal

    def find_ended(self, token: str) -> EndedKey | None:
        """Say for the log of which key a credential is that `find` has just refused.

        Args:
            token: As the caller sent it; any text.

        Returns:
            The key; None if there is none, or that is not known without waiting.
        """
        if self._access_tokens is not None and looks_like_jwt(token):
            claims = self._access_tokens.trace(token)
            return None if claims is None else self._find_ended_issuer(claims)
        return None if self._ring is None else self._ring.find_ended(token)

    def _find_ended_issuer(self, claims: Claims) -> EndedKey:
        ended = None
        if self._ring is not None:
            ended = self._ring.find_ended_credential(claims.credential)
        return ended or EndedKey(claims.name, "expired")

    async def _find_issued(self, claims: Claims) -> Principal | None:
        """Find who has had a token issued, unless the credential for it has ended."""
        if self._ring is not None and is_key_id(claims.name):
            return await self._ring.find_by_credential(claims.credential)
        return self._tokens.find_by_credential(claims.credential)
