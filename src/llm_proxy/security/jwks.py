"""The public keys of an identity provider, as a JSON Web Key Set (RFC 7517)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jwt.algorithms import AllowedPublicKeys

    Keys = Mapping[tuple[str, str], AllowedPublicKeys]

# By type and curve of a key: what it may verify. A symmetric key may verify nothing.
_ALGORITHMS: Mapping[str, tuple[str, ...]] = {
    "RSA": ("RS256", "PS256"),
    "EC P-256": ("ES256",),
    "OKP Ed25519": ("EdDSA",),
}
ALGORITHMS = frozenset(name for names in _ALGORITHMS.values() for name in names)


def read_keys(document: bytes) -> Keys:
    """Read a key set.

    Args:
        document: JSON.

    Returns:
        By key id and algorithm, so that no key is ever used with an algorithm that it
        was not made for. What cannot be used is left out (RFC 7517, 5).

    Raises:
        ValueError: It is no key set, or has no key for us.
    """
    value = orjson.loads(document)
    listed = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(listed, list):
        raise ValueError("no key set")
    keys = {name: key for entry in listed for name, key in _read_key(entry)}
    if not keys:
        raise ValueError("no usable key")
    return keys


def _read_key(
    entry: Any,  # noqa: ANN401 - JSON may be anything
) -> Iterator[tuple[tuple[str, str], AllowedPublicKeys]]:
    from jwt import PyJWK, PyJWTError

    if not isinstance(entry, dict) or not _verifies(entry):
        return
    key_id = entry.get("kid")
    kind = f"{entry.get('kty')} {entry.get('crv', '')}".rstrip()
    for algorithm in _ALGORITHMS.get(kind, ()):
        if not isinstance(key_id, str) or entry.get("alg", algorithm) != algorithm:
            continue
        try:
            key = PyJWK(entry, algorithm).key
        except PyJWTError:
            continue
        yield (key_id, algorithm), key


def _verifies(entry: Mapping[str, object]) -> bool:
    """Whether a key is public, and meant for signatures."""
    operations = entry.get("key_ops", ["verify"])
    return (
        "d" not in entry
        and entry.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
    )
