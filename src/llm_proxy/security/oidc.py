"""Callers whom an identity provider knows (OpenID Connect, OAuth 2.0)."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from llm_proxy.security.jwks import ALGORITHMS
from llm_proxy.security.signed_token import (
    RefusedTokenError,
    Rules,
    check_claims,
    load_pyjwt,
    looks_like_jwt,
    read_claims,
    read_header,
    read_text,
)
from llm_proxy.security.signing_keys import SigningKeys, check_address
from llm_proxy.security.verified import Verified
from llm_proxy.settings import ConfigurationError
from llm_proxy.telemetry import get_logger
from llm_proxy.types import ROLES, AccessRole, Principal

_log = get_logger(__name__)

# No name of a token or a virtual key has a colon.
NAME_PREFIX = "oidc:"

_LEEWAY_SECONDS = 60.0
# The key that has signed a token may be withdrawn after its check.
_MAX_CACHED_SECONDS = 300.0
_MAX_SUBJECT_LENGTH = 200
_MAX_LABEL_LENGTH = 255


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """Whom to believe who callers are.

    Attributes:
        issuer: The provider's address, to the letter as in ``iss``.
        audience: How the provider names this service in ``aud``.
        roles_claim: Where roles of this service stand: a claim, or a path to one in
            others, such as ``realm_access.roles``.
        default_role: The role of who has none; None refuses them.
    """

    issuer: str
    audience: str
    roles_claim: str = "roles"
    default_role: AccessRole | None = None


class OIDC:
    """Finds out who is calling by the tokens of an identity provider.

    A token that was good is believed for five minutes, or until it expires, before it
    is checked again.

    Args:
        provider: Whose tokens.
        client: Fetches the provider's keys; whoever made it closes it.
        clock: Seconds since the epoch.

    Raises:
        ConfigurationError: The issuer's address may not be used, or PyJWT is not
            installed.
    """

    def __init__(
        self,
        provider: IdentityProvider,
        client: httpx.AsyncClient,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        try:
            check_address(provider.issuer)
        except ValueError as error:
            raise ConfigurationError(f"OIDC_ISSUER: {error}") from None
        self._jws = load_pyjwt()
        self._provider = provider
        self._keys = SigningKeys(provider.issuer, client)
        self._clock = clock
        self._verified: Verified[Principal] = Verified(
            max_seconds=_MAX_CACHED_SECONDS, clock=clock
        )
        self._rules = Rules(
            provider.issuer,
            provider.audience,
            algorithms=ALGORITHMS,
            # RFC 7519, 5.1 and RFC 9068, 2.1; others are for other purposes.
            kinds=frozenset(("", "jwt", "at+jwt")),
            required=("iss", "aud", "sub", "exp", "iat"),
            leeway_seconds=_LEEWAY_SECONDS,
        )

    def known(self, token: str) -> Principal | None:
        """Find whose token it is, as far as that is known without waiting.

        Args:
            token: As the caller sent it; any text.

        Returns:
            The caller; None says nothing.
        """
        return self._verified.find(token)

    async def find(self, token: str) -> Principal | None:
        """Find whose token it is.

        Args:
            token: As the caller sent it; any text.

        Returns:
            The caller, or None if the token is not of this provider, not valid now,
            or names no role.

        Raises:
            IdentityProviderUnavailableError: Its key cannot be fetched now.
        """
        if (principal := self.known(token)) is not None:
            return principal
        if not looks_like_jwt(token):
            return None
        try:
            claims = await self._verify(token)
            principal = read_principal(claims, self._provider)
        except RefusedTokenError as error:
            _log.info("oidc_token_refused", reason=str(error))
            return None
        self._verified.add(token, principal, claims["exp"] + _LEEWAY_SECONDS)
        return principal

    async def aclose(self) -> None:
        """End what is under way."""
        await self._keys.aclose()

    async def _verify(self, token: str) -> Mapping[str, Any]:
        header = read_header(token, self._rules)
        if not header.key_id:
            raise RefusedTokenError("kid")
        key = await self._keys.find(header.key_id, header.algorithm)
        if key is None:
            raise RefusedTokenError("kid")
        claims = read_claims(self._jws, token, header.algorithm, key)
        check_claims(claims, self._rules, self._clock())
        return claims


def read_principal(claims: Mapping[str, Any], provider: IdentityProvider) -> Principal:
    """Read who is calling, and what they may do, from claims that are true.

    Args:
        claims: With a subject. Their expiry is the token's, and not the caller's.
        provider: Where roles stand, and which one is given to who has none.

    Returns:
        The caller.

    Raises:
        RefusedTokenError: There is no role, or a name that cannot be written.
    """
    subject = _name(claims, "sub", _MAX_SUBJECT_LENGTH)
    if not subject:
        raise RefusedTokenError("sub")
    role = _role(claims, provider)
    if role is None:
        raise RefusedTokenError("role")
    return Principal(
        NAME_PREFIX + subject,
        role,
        ROLES[role],
        organisation=_name(claims, "organisation"),
        team=_name(claims, "team"),
        user=_email(claims) or _name(claims, "preferred_username") or subject,
    )


def _role(claims: Mapping[str, Any], provider: IdentityProvider) -> AccessRole | None:
    """Choose the most powerful role; `ROLES` begins with it."""
    named = _at(claims, provider.roles_claim)
    if isinstance(named, str):
        named = [named]
    if not isinstance(named, list):
        return provider.default_role
    return next((role for role in ROLES if role in named), provider.default_role)


def _at(claims: Mapping[str, Any], path: str) -> object:
    # Names of claims may be addresses, with dots in them.
    if path in claims:
        return claims[path]
    value: object = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _email(claims: Mapping[str, Any]) -> str:
    """Read the address, unless the provider says that anybody could have given it."""
    is_verified = claims.get("email_verified", True) in (True, "true")
    return _name(claims, "email") if is_verified else ""


def _name(
    claims: Mapping[str, Any], claim: str, max_length: int = _MAX_LABEL_LENGTH
) -> str:
    """Read a name that logs, limits and the ledger can hold.

    One that they cannot is refused rather than left out or cut: who has no organisation
    may see more than who has one, and two names could be cut to the same.
    """
    name = read_text(claims, claim)
    if len(name) > max_length or not name.isprintable():
        raise RefusedTokenError(claim)
    return name
