"""How requests reach upstreams: httpx's types over a connection pool of our own."""

from llm_proxy.transport.client import (
    BodyTooLargeError,
    UpstreamClient,
    limit_silence,
    raw_body,
    read_body,
)
from llm_proxy.transport.pool import PoolTransport

__all__ = [
    "BodyTooLargeError",
    "PoolTransport",
    "UpstreamClient",
    "limit_silence",
    "raw_body",
    "read_body",
]
