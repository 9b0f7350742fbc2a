"""Short-lived tokens of our own, which stand for whoever has another credential."""

import math
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from llm_proxy.errors import AuthenticationError, ForbiddenError
from llm_proxy.security.oidc import NAME_PREFIX
from llm_proxy.security.signed_token import (
    ExpiredTokenError,
    RefusedTokenError,
    Rules,
    check_claims,
    load_pyjwt,
    read_claims,
    read_header,
    read_text,
)
from llm_proxy.security.verified import Verified
from llm_proxy.settings import ConfigurationError
from llm_proxy.types import Principal, Scope

_ALGORITHM = "HS256"
_AUDIENCE = "llm-proxy"
# As RFC 9068 calls an access token, so that it is taken for nothing else.
_KIND = "at+jwt"
# RFC 7518, 3.2: as long as the hash.
_MIN_SECRET_BYTES = 32
_CLAIMS = ("iss", "aud", "sub", "credential", "scope", "iat", "nbf", "exp", "jti")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token of ours says.

    Attributes:
        name: Of the principal that it stands for.
        credential: With which that principal has asked for it.
        scopes: What its bearer may do, as far as the principal may.
        expires_at: Until when, in seconds since the epoch.
    """

    name: str
    credential: str
    scopes: frozenset[str]
    expires_at: float


class AccessTokens:
    """Issues and reads tokens signed with a secret of ours (HMAC with SHA-256).

    A token says for which credential it stands, and not what that may do beyond its
    scopes: this is looked up at each use, so it dies with the credential.

    Args:
        secret_key: At least 32 bytes; processes that share it read each other's tokens.
        max_seconds: The longest life of a token.
        issuer: The name of this service.
        clock: Seconds since the epoch.

    Raises:
        ConfigurationError: The secret is too short, or PyJWT is not installed.
    """

    def __init__(
        self,
        secret_key: str,
        *,
        max_seconds: float,
        issuer: str = "llm-proxy",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._secret = secret_key.encode()
        if len(self._secret) < _MIN_SECRET_BYTES:
            raise ConfigurationError(
                f"JWT_SECRET_KEY: must have at least {_MIN_SECRET_BYTES} characters"
            )
        self._jws = load_pyjwt()
        self._max_seconds = max_seconds
        self._clock = clock
        self._verified: Verified[Claims] = Verified(clock=clock)
        self._rules = Rules(
            issuer,
            _AUDIENCE,
            algorithms=frozenset((_ALGORITHM,)),
            kinds=frozenset((_KIND,)),
            required=_CLAIMS,
            leeway_seconds=30.0,
        )

    def issue(
        self,
        principal: Principal,
        seconds: float | None = None,
        scopes: frozenset[Scope] | None = None,
    ) -> tuple[str, int]:
        """Issue a token that stands for a caller.

        Args:
            principal: The caller.
            seconds: How long it should live; never longer than the caller's own
                credential and the longest life. None for as long as possible.
            scopes: What its bearer may do; None for all that the caller may.

        Returns:
            The token, and for how many seconds it is valid.

        Raises:
            ForbiddenError: The caller may not do that much, or is known by a token of
                an identity provider, which `resolve` could not look up.
            AuthenticationError: The caller's credential expires within a second.
        """
        if principal.name.startswith(NAME_PREFIX):
            raise ForbiddenError(details={"reason": "identity_provider"})
        scopes = principal.scopes if scopes is None else scopes
        if not scopes <= principal.scopes:
            excess = sorted(scopes - principal.scopes)
            raise ForbiddenError(details={"reason": "scope", "scope": excess})
        now = self._clock()
        issued_at = math.floor(now)
        asked = self._max_seconds if seconds is None else seconds
        expires_at = now + min(asked, self._max_seconds)
        if principal.expires_at is not None:
            expires_at = min(expires_at, principal.expires_at)
        lifetime = math.floor(expires_at) - issued_at
        if lifetime < 1:
            raise AuthenticationError
        claims = {
            "iss": self._rules.issuer,
            "aud": _AUDIENCE,
            "sub": principal.name,
            "credential": principal.credential,
            "scope": " ".join(sorted(scopes)),
            "iat": issued_at,
            "nbf": issued_at,
            "exp": issued_at + lifetime,
            "jti": uuid.uuid4().hex,
        }
        return self._sign(claims), lifetime

    def read(self, token: str) -> Claims | None:
        """Read a token of ours.

        Args:
            token: As the caller sent it; any text.

        Returns:
            What it says, or None if it is none of ours, or not valid now.
        """
        if (known := self._verified.find(token)) is not None:
            return known
        claims = self.trace(token)
        # The leeway is for clocks that differ, not for a longer life.
        if claims is None or claims.expires_at <= self._clock():
            return None
        self._verified.add(token, claims, claims.expires_at)
        return claims

    def trace(self, token: str) -> Claims | None:
        """Read a token of ours whose life may be over, to say for the log whose it was.

        Args:
            token: As the caller sent it; any text.

        Returns:
            What it says, or None if it is none of ours.
        """
        try:
            return self._verify(token)
        except RefusedTokenError:
            return None

    async def resolve(
        self, token: str, find: Callable[[Claims], Awaitable[Principal | None]]
    ) -> Principal | None:
        """Find for whom a token of ours stands, as they are at this moment.

        Args:
            token: As the caller sent it; any text.
            find: Knows who has the credential that a token was issued for, while it is
                valid.

        Returns:
            The principal with what the token leaves of its scopes and its life, or
            None if the token is not valid or its credential is nobody's any more.

        Raises:
            StorageUnavailableError: As `find` says.
        """
        claims = self.read(token)
        if claims is None:
            return None
        principal = await find(claims)
        if principal is None:
            return None
        expires_at = claims.expires_at
        if principal.expires_at is not None:
            expires_at = min(expires_at, principal.expires_at)
        if expires_at <= self._clock():
            return None
        scopes = principal.scopes & claims.scopes
        return replace(principal, scopes=scopes, expires_at=expires_at)

    def _sign(self, claims: dict[str, object]) -> str:
        import jwt

        return jwt.encode(claims, self._secret, _ALGORITHM, {"typ": _KIND})

    def _verify(self, token: str) -> Claims:
        read_header(token, self._rules)
        claims = read_claims(self._jws, token, _ALGORITHM, self._secret)
        with suppress(ExpiredTokenError):
            check_claims(claims, self._rules, self._clock())
        name, credential, scope = (
            read_text(claims, claim) for claim in ("sub", "credential", "scope")
        )
        return Claims(name, credential, frozenset(scope.split()), claims["exp"])
