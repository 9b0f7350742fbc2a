"""Headers that a vendor puts on every answer, whatever it says."""

from dataclasses import replace

from llm_proxy.providers.sandbox.reply import Reply

# Constants, because the same request has to give the same bytes.
_VENDORS = {
    "x-request-id": {
        "openai-organization": "sandbox",
        "openai-processing-ms": "1",
        "openai-version": "2020-10-01",
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-limit-tokens": "2000000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-remaining-tokens": "1999000",
        "x-ratelimit-reset-requests": "6ms",
        "x-ratelimit-reset-tokens": "30ms",
    },
    "request-id": {
        "anthropic-organization-id": "sandbox",
        "anthropic-ratelimit-requests-limit": "4000",
        "anthropic-ratelimit-requests-remaining": "3999",
        "anthropic-ratelimit-requests-reset": "2025-01-01T00:00:01Z",
        "anthropic-ratelimit-tokens-limit": "2400000",
        "anthropic-ratelimit-tokens-remaining": "2399000",
        "anthropic-ratelimit-tokens-reset": "2025-01-01T00:00:01Z",
    },
}


def with_vendor_headers(reply: Reply) -> Reply:
    """Add the vendor's headers to its replies.

    Args:
        reply: A reply; the header of the request id tells the vendor. A page of
            something between the vendor and us has none.

    Returns:
        The reply, whose own headers win.
    """
    for request_id, headers in _VENDORS.items():
        if request_id in reply.headers:
            return replace(reply, headers={**headers, **reply.headers})
    return reply
