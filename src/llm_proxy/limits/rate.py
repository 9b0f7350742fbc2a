"""Requests per minute, per client and per kind of route."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from slowapi import Limiter
from slowapi.util import get_remote_address

from limits import RateLimitItem, RateLimitItemPerMinute
from llm_proxy.limits.window import SCHEME
from llm_proxy.settings import Settings

Scope = Literal["api", "chat", "webhook", "health", "auth_failure"]


class _PerMinute(RateLimitItemPerMinute):
    """A limit whose keys are what identifies them, and no more."""

    def key_for(self, *identifiers: Any) -> str:  # noqa: ANN401 - as limits has it
        return "/".join(identifiers)


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
    """Counts requests with slowapi's limiter over exact moving windows.

    slowapi's own decorators count after validation, cannot tell our tokens apart and
    answer in their own words (SEED-REQUIREMENTS TRAP-05 to 08), so the limiter is asked
    directly, in front of everything else.

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
        numbers: Mapping[Scope, int | None] = {
            "api": settings.rate_limit,
            "chat": settings.rate_limit_chat,
            "webhook": settings.rate_limit_webhook,
            "health": settings.rate_limit_health,
        }
        self._items: dict[Scope, RateLimitItem] = {
            scope: _PerMinute(number)
            for scope, number in numbers.items()
            if number is not None and settings.rate_limit_enabled
        }
        # Guessing tokens stays limited even where honest traffic is not.
        self._items["auth_failure"] = _PerMinute(settings.auth_failure_limit)

    def count(self, scope: Scope, client: str) -> Standing | None:
        """Count one request.

        Args:
            scope: Which limit.
            client: Whose request: a token's name or an address, prefixed by its kind.

        Returns:
            The client's standing after it; None where nothing is limited.
        """
        item = self._items.get(scope)
        if item is None:
            return None
        strategy = self.limiter.limiter
        exceeded = not strategy.hit(item, scope, client)
        reset, remaining = strategy.get_window_stats(item, scope, client)
        return Standing(item.amount, max(0, remaining), reset, exceeded)

    def is_exhausted(self, scope: Scope, client: str) -> Standing | None:
        """Look, without counting, whether a limit is used up.

        Args:
            scope: Which limit.
            client: As for `count`.

        Returns:
            The standing if nothing remains, else None.
        """
        item = self._items.get(scope)
        if item is None:
            return None
        reset, remaining = self.limiter.limiter.get_window_stats(item, scope, client)
        return None if remaining > 0 else Standing(item.amount, 0, reset, True)
