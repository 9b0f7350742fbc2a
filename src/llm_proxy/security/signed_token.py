"""A JSON Web Token (RFC 7519) that a caller sends, and what it takes to believe it."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_proxy.settings import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwt import PyJWS
    from jwt.algorithms import AllowedPublicKeys

# Several times what identity providers issue; nothing longer is looked at.
MAX_TOKEN_LENGTH = 8192

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
# No clock shows a time beyond it, and up to here floats are exact.
_LAST_SECOND = 2**53


class RefusedTokenError(Exception):
    """A token is not to be believed; the text says why, in words of ours."""


class ExpiredTokenError(RefusedTokenError):
    """A token whose life is over, and with which nothing else is wrong."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a token says about its own signature, which nobody has checked.

    Attributes:
        algorithm: ``alg``.
        kind: ``typ`` in lower case, without ``application/``; may be empty.
        key_id: ``kid``; may be empty.
    """

    algorithm: str
    kind: str
    key_id: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What a token must say to be believed (RFC 8725).

    Attributes:
        issuer: Its ``iss``.
        audience: In its ``aud``.
        algorithms: One of them has signed it.
        kinds: Its ``typ`` is one of them.
        required: Claims that it must have.
        leeway_seconds: How far the issuer's clock may be from ours.
    """

    issuer: str
    audience: str
    algorithms: frozenset[str]
    kinds: frozenset[str]
    required: tuple[str, ...]
    leeway_seconds: float


def load_pyjwt() -> PyJWS:
    """Load what checks signatures, which is an extra.

    Returns:
        PyJWT's reader of signed texts.

    Raises:
        ConfigurationError: It, or the cryptography it needs, is not installed.
    """
    try:
        # Without it PyJWT can be imported, and knows no public keys.
        import cryptography  # noqa: F401
        from jwt import PyJWS
    except ImportError:
        raise ConfigurationError(
            "JWT_SECRET_KEY and OIDC_ISSUER need: pip install 'llm-proxy[jwt]'"
        ) from None
    return PyJWS(options={"enforce_minimum_key_length": True})


def looks_like_jwt(token: str) -> bool:
    """Tell whether a credential can be a JWT in compact form (RFC 7515, 7.1).

    Args:
        token: As the caller sent it; any text.

    Returns:
        Whether it can; only the form is looked at.
    """
    return len(token) <= MAX_TOKEN_LENGTH and _COMPACT.fullmatch(token) is not None


def read_header(token: str, rules: Rules) -> Header:
    """Read what a token says about its signature.

    What it may say about where a key is to be found (``jku``, ``x5u``, ``jwk``,
    ``x5c``) is nothing to us.

    Args:
        token: As the caller sent it; any text.
        rules: What it must say.

    Returns:
        The header.

    Raises:
        RefusedTokenError: It is not as the rules demand.
    """
    if not looks_like_jwt(token):
        raise RefusedTokenError("form")
    fields = _read_object(_decode(token.partition(".")[0]))
    if "crit" in fields:
        # We know no extension, and one that is critical must be understood.
        raise RefusedTokenError("crit")
    header = Header(
        read_text(fields, "alg"),
        read_text(fields, "typ").lower().removeprefix("application/"),
        read_text(fields, "kid"),
    )
    if header.algorithm not in rules.algorithms:
        raise RefusedTokenError("alg")
    if header.kind not in rules.kinds:
        raise RefusedTokenError("typ")
    return header


def read_claims(
    jws: PyJWS, token: str, algorithm: str, key: AllowedPublicKeys | bytes
) -> Mapping[str, Any]:
    """Read what a token says, once its signature is known to be the key's.

    Args:
        jws: Checks the signature.
        token: Its header has been read.
        algorithm: The one of its header.
        key: Made for this algorithm.

    Returns:
        Its claims, which have yet to be checked.

    Raises:
        RefusedTokenError: The signature is not the key's, or there are no claims.
    """
    from jwt import PyJWTError

    try:
        payload = jws.decode(token, key, algorithms=[algorithm])
    except PyJWTError as error:
        raise RefusedTokenError("signature") from error
    return _read_object(payload)


def check_claims(claims: Mapping[str, Any], rules: Rules, now: float) -> None:
    """Check who has said it, to whom, and when (RFC 7519, 4.1).

    Args:
        claims: Of a token with a good signature.
        rules: What they must say.
        now: Seconds since the epoch.

    Raises:
        ExpiredTokenError: They do, but do no longer hold.
        RefusedTokenError: They do not; the text is the name of the claim.
    """
    for name in rules.required:
        if claims.get(name) is None:
            raise RefusedTokenError(name)
    if claims.get("iss") != rules.issuer:
        raise RefusedTokenError("iss")
    _check_audience(claims, rules.audience)
    for name in ("nbf", "iat"):
        if name in claims and _time(claims, name) > now + rules.leeway_seconds:
            raise RefusedTokenError(name)
    if _time(claims, "exp") <= now - rules.leeway_seconds:
        raise ExpiredTokenError("exp")


def read_text(fields: Mapping[str, Any], name: str) -> str:
    """Read a member that must be text.

    Args:
        fields: A header, or claims.
        name: The member.

    Returns:
        Its text; empty if it is missing or null.

    Raises:
        RefusedTokenError: It is something else.
    """
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RefusedTokenError(name)
    return value


def _check_audience(claims: Mapping[str, Any], audience: str) -> None:
    """OpenID Connect Core 1.0, 3.1.3.7: one of several must be who asked for it."""
    named = claims.get("aud")
    if named == audience:
        return
    if not isinstance(named, list) or audience not in named:
        raise RefusedTokenError("aud")
    if len(named) > 1 and claims.get("azp") != audience:
        raise RefusedTokenError("azp")


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    # Truth values are numbers to Python; NaN is between no bounds.
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise RefusedTokenError(name)
    if not 0 <= value < _LAST_SECOND:
        raise RefusedTokenError(name)
    return float(value)


def _decode(segment: str) -> bytes:
    try:
        return urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        raise RefusedTokenError("form") from None


def _read_object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise RefusedTokenError("json") from None
    if not isinstance(value, dict):
        raise RefusedTokenError("json")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse names that stand twice: two readers could believe two things."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name stands twice")
    return fields
