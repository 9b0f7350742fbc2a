"""How to reach one upstream."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from llm_proxy.providers.loopback import LoopbackServer
from llm_proxy.providers.sigv4 import Signer
from llm_proxy.transport import UpstreamClient
from llm_proxy.types import Timeouts
from llm_proxy.wire import Dialect, RelayDialect

DEFAULT_TIMEOUTS = Timeouts(connect=5.0, first_token=30.0, idle=30.0)


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach one upstream.

    Attributes:
        name: The provider's name.
        dialect: What the upstream speaks.
        v1_dialect: The same for callers of `/v1`; None if it is no other.
        client: Carries the requests; shared by all providers.
        relays: By name, the dialects in which callers' bytes can pass through.
        base_url: Where the dialect's paths begin; unused when there is a `server`.
        api_key: The provider key.
        key_name: The variable that should hold the key; empty if none is needed.
        headers: Headers that every request carries besides the provider's own.
        server: An upstream of our own, started on first use.
        signer: Signs requests where the upstream wants that instead of a key.
        timeouts: How long it may take; all three are set.
        max_body_bytes: The most bytes of a complete answer.
        max_relay_bytes: The same for callers of `/v1`.
    """

    name: str
    dialect: Dialect
    client: UpstreamClient
    relays: Mapping[str, RelayDialect] = field(default_factory=dict)
    base_url: str = ""
    api_key: str | None = field(default=None, repr=False)
    key_name: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    server: LoopbackServer | None = None
    v1_dialect: Dialect | None = None
    signer: Signer | None = None
    timeouts: Timeouts = DEFAULT_TIMEOUTS
    max_body_bytes: int = 10 * 1024 * 1024
    max_relay_bytes: int = 32 * 1024 * 1024
