"""Requests per minute, per client and per kind of route."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from slowapi import Limiter
from slowapi.util import get_remote_address

from llm_proxy.limits.window import SCHEME, WindowStorage
from llm_proxy.settings import Settings

_WINDOW_SECONDS = 60

RouteKind = Literal["api", "chat", "webhook", "health", "auth_failure"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a client stands with a limit.

    Attributes:
        limit: Requests a minute.
        remaining: Requests that are left in the window.
        reset: When the next request leaves the window, in seconds since the epoch.
        exceeded: Whether this request is one too many.
    """

    limit: int
    remaining: int
    reset: float
    exceeded: bool


class RateLimits:
    """Counts requests in the exact moving windows of slowapi's limiter.

    slowapi's own decorators count after validation, cannot tell our tokens apart and
    answer in their own words, so its storage is asked directly, in front of everything
    else.

    Args:
        settings: Give the numbers.

    Attributes:
        limiter: slowapi's limiter; extensions may decorate their routes with it.
    """

    def __init__(self, settings: Settings) -> None:
        self.limiter = Limiter(
            key_func=get_remote_address,
            key_style="endpoint",
            storage_uri=f"{SCHEME}://",
            strategy="moving-window",
        )
        self._windows = cast(WindowStorage, self.limiter.limiter.storage)
        numbers: Mapping[RouteKind, int | None] = {
            "api": settings.rate_limit,
            "chat": settings.rate_limit_chat,
            "webhook": settings.rate_limit_webhook,
            "health": settings.rate_limit_health,
        }
        self._limits: dict[RouteKind, int] = {
            kind: number
            for kind, number in numbers.items()
            if number is not None and settings.rate_limit_enabled
        }
        # Guessing tokens stays limited even where honest traffic is not.
        self._limits["auth_failure"] = settings.auth_failure_limit

    def count(
        self, kind: RouteKind, client: str, limit: int | None = None
    ) -> Standing | None:
        """Count one request.

        Args:
            kind: Which limit.
            client: Whose request: a token's name or an address, prefixed by its kind.
            limit: Calls to models that the client may make a minute, where that is
                known. They are counted when they are made; here it only raises what
                all clients have.

        Returns:
            The client's standing after it; None where nothing is limited.
        """
        general = self._limits.get(kind)
        if general is None:
            return None
        limit = general if limit is None else max(general, limit)
        taken, oldest, count = self._windows.take(
            f"{kind}/{client}", limit, _WINDOW_SECONDS
        )
        return Standing(limit, limit - count, oldest + _WINDOW_SECONDS, not taken)
