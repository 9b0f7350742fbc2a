"""What the text of a setting means, and when it is too weak to run with.

No message of these functions repeats the text it is about: it may be a secret.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from pydantic import SecretStr

from llm_proxy.types import SurfaceName
from llm_proxy.variables import HOSTED

MIN_TOKEN_LENGTH = 32

_MIN_DISTINCT_CHARACTERS = 8
_TOKEN_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
# The scraper's, and those of virtual keys.
_RESERVED_NAME = re.compile(r"metrics|key_[0-9a-f]{16}")
_TOKEN = re.compile(r"[!-~]+")
_PLACEHOLDER = re.compile(
    r"^test|your[_-]|change[_-]?(?:me|this)|replace|example|placeholder", re.IGNORECASE
)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s?#@]+")
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".svc")


def parse_tokens(text: str) -> dict[str, str]:
    """Read the accepted API tokens.

    Args:
        text: Items separated by commas, each ``name:token`` or only a token. Nameless
            ones are called ``default``, ``default-2`` and so on.

    Returns:
        Tokens by name; at least one.

    Raises:
        ValueError: There is no token, or an item is not a usable one.
    """
    tokens: dict[str, str] = {}
    nameless = 0
    for number, item in enumerate(_items(text), start=1):
        name, colon, token = item.partition(":")
        if not colon:
            nameless += 1
            name, token = "default" if nameless == 1 else f"default-{nameless}", item
        if not _TOKEN_NAME.fullmatch(name):
            raise ValueError(f"item {number} has a name other than A-Z a-z 0-9 . _ -")
        if not _TOKEN.fullmatch(token):
            raise ValueError(f"item {number} is not a token of printable ASCII")
        if _RESERVED_NAME.fullmatch(name):
            raise ValueError(f"item {number} has a name that belongs to others")
        if name in tokens or token in tokens.values():
            raise ValueError(f"item {number} repeats a name or a token")
        tokens[name] = token
    if not tokens:
        raise ValueError("required")
    return tokens


def parse_origins(text: str) -> tuple[str, ...]:
    """Read the origins that browsers may call from.

    Args:
        text: Items separated by commas, each ``*`` or ``scheme://host[:port]``.

    Returns:
        The origins in the order given.

    Raises:
        ValueError: An item is not an origin, so no browser would ever send it.
    """
    origins = tuple(_items(text))
    for number, origin in enumerate(origins, start=1):
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f"item {number} is not an origin such as https://app.example.com"
                " (lower-case scheme, no path, no slash at the end)"
            )
    return origins


def parse_networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Read a list of addresses and networks.

    Args:
        text: Items separated by commas, each an address or a CIDR network.

    Returns:
        The networks in the order given; an address is a network of one.

    Raises:
        ValueError: An item is neither.
    """
    networks = []
    for number, item in enumerate(_items(text), start=1):
        try:
            networks.append(ip_network(item))
        except ValueError:
            raise ValueError(
                f"item {number} is neither an address nor a network such as 10.0.0.0/8"
            ) from None
    return tuple(networks)


def parse_surfaces(text: str) -> frozenset[SurfaceName]:
    """Read a list of surfaces.

    Args:
        text: Items separated by commas.

    Returns:
        The surfaces.

    Raises:
        ValueError: An item is none.
    """
    known: tuple[SurfaceName, ...] = get_args(SurfaceName)
    items = frozenset(_items(text))
    if not items.issubset(known):
        raise ValueError(f"must be some of {', '.join(known)}")
    return frozenset(name for name in known if name in items)


def check_base_url(url: str, environment: str) -> None:
    """Refuse an address at which no provider may be called.

    Args:
        url: The base URL.
        environment: In staging and production, plain HTTP may only go to loopback and
            private hosts.

    Raises:
        ValueError: The reason.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("not a valid URL") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError("must start with https:// or http:// and name a host")
    if parts.username is not None:
        raise ValueError("must not carry a user name or password")
    if environment in HOSTED and parts.scheme == "http" and not _is_private(host):
        raise ValueError(
            "must use https in staging and production, unless the host is private"
        )


def _check_debug(debug: bool, environment: str) -> None:
    if debug and environment in HOSTED:
        raise ValueError("must be off in staging and production")


def _check_tokens(text: SecretStr, environment: str) -> None:
    tokens = parse_tokens(text.get_secret_value())
    for number, token in enumerate(tokens.values(), start=1):
        weakness = _weakness(token) if environment in HOSTED else None
        if weakness:
            raise ValueError(f"item {number} is {weakness}")


def _check_origins(text: str, environment: str) -> None:
    if "*" in parse_origins(text) and environment in HOSTED:
        raise ValueError("must name the origins in staging and production, not *")


def _check_networks(text: str, environment: str) -> None:
    parse_networks(text)


def _check_provider(name: str, environment: str) -> None:
    if name.lower() == "sandbox" and environment == "production":
        raise ValueError("the sandbox makes its answers up; not for production")


def _check_surfaces(text: str, environment: str) -> None:
    parse_surfaces(text)


def _check_jwt_secret(text: SecretStr, environment: str) -> None:
    weakness = _weakness(text.get_secret_value())
    if weakness:
        raise ValueError(f"is {weakness}")


def _check_file(path: Path, environment: str) -> None:
    if not path.is_file():
        raise ValueError("there is no such file")


CHECKS: Mapping[str, Callable[[Any, str], None]] = {
    "debug": _check_debug,
    "api_token": _check_tokens,
    "allowed_origins": _check_origins,
    "trusted_proxies": _check_networks,
    "oidc_issuer": check_base_url,
    "cache_surfaces": _check_surfaces,
    "jwt_secret_key": _check_jwt_secret,
    "llm_provider": _check_provider,
    "llm_fallback_provider": _check_provider,
    "local_model_path": _check_file,
    "openai_base_url": check_base_url,
    "anthropic_base_url": check_base_url,
}
"""By field: raises a `ValueError` for a value that the environment must not have."""


def _weakness(token: str) -> str | None:
    if len(token) < MIN_TOKEN_LENGTH:
        return f"shorter than {MIN_TOKEN_LENGTH} characters"
    if _PLACEHOLDER.search(token):
        return "a placeholder"
    if len(set(token)) < _MIN_DISTINCT_CHARACTERS:
        return "a repetition of few characters"
    return None


def _is_private(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE_SUFFIXES)


def _items(text: str) -> Iterator[str]:
    return filter(None, (item.strip() for item in text.split(",")))
