"""What of an upstream's words about a request travels on to the caller."""

from dataclasses import astuple

import httpx

from llm_proxy.errors import APIError

# Our own limits are told under these names.
_OURS = frozenset(
    (b"x-ratelimit-limit", b"x-ratelimit-remaining", b"x-ratelimit-reset")
)
_REQUEST_IDS = frozenset((b"x-request-id", b"request-id", b"x-amzn-requestid"))
_LIMITS = (b"x-ratelimit-", b"anthropic-ratelimit-")

Headers = tuple[tuple[bytes, bytes], ...]


def travelling_headers(response: httpx.Response, key: str | None) -> Headers:
    """Pick the headers that callers of `/v1` see.

    Args:
        response: The upstream's.
        key: The provider key, which none of them may quote.

    Returns:
        Limits under the vendor's names, and the vendor's id of the request as
        ``x-upstream-request-id``. What would be taken for ours gets ``upstream-`` into
        its name.
    """
    picked = []
    secret = (key or "").encode("latin-1")
    for raw_name, value in response.headers.raw:
        if secret and secret in value:
            continue
        name = raw_name.lower()
        if name in _REQUEST_IDS:
            picked.append((b"x-upstream-request-id", value))
        elif name in _OURS:
            picked.append((b"x-upstream-" + name[2:], value))
        elif name.startswith(_LIMITS):
            picked.append((name, value))
    return tuple(picked)


def hide_key(error: APIError, key: str | None) -> APIError:
    """Keep the vendor's words to ourselves if they quote the provider key.

    Args:
        error: The error that carries them; it is changed.
        key: The provider key.

    Returns:
        The same error.
    """
    if key and error.vendor and any(key in word for word in astuple(error.vendor)):
        error.vendor = None
    return error
