"""Where in a request the credential stands."""

from collections.abc import Iterable
from urllib.parse import parse_qs

from llm_proxy.errors import InvalidInputError

_HEADERS = frozenset((b"x-api-token", b"x-api-key", b"api-key", b"authorization"))


def read_token(
    headers: Iterable[tuple[bytes, bytes]], query: bytes, allow_query: bool
) -> str | None:
    """Find the caller's token.

    Args:
        headers: Raw, with names in lower case: ``x-api-token``, ``x-api-key``,
            ``api-key`` (clients of Azure) and ``authorization``, as ``Bearer`` or
            without a scheme, are looked at.
        query: The raw query string; ``api_token`` counts when no header has a token.
        allow_query: Whether the query may carry a token at all.

    Returns:
        The token, or None if there is none.

    Raises:
        InvalidInputError: Headers carry two different tokens, so that it is not clear
            who is calling.
    """
    tokens = {
        _strip_scheme(name, value) for name, value in headers if name in _HEADERS
    } - {None}
    if len(tokens) > 1:
        raise InvalidInputError("The request carries two different credentials")
    if tokens:
        return tokens.pop()
    if allow_query and query:
        values = parse_qs(query.decode("latin-1"))
        return values.get("api_token", [None])[0]
    return None


def _strip_scheme(name: bytes, value: bytes) -> str | None:
    text = value.decode("latin-1").strip()
    if name == b"authorization":
        scheme, found, rest = text.partition(" ")
        if scheme.lower() == "bearer":
            text = rest
        elif found:
            return None
    return text.strip() or None
