"""Who may make, rotate and revoke which key: nobody can grant more than they have."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TypeVar

from llm_proxy.errors import ForbiddenError
from llm_proxy.security.virtual_key import VirtualKey
from llm_proxy.types import Principal

_T = TypeVar("_T", int, float)
_WILDCARDS = frozenset("*?[")


def may_grant(granter: Principal, key: VirtualKey) -> None:
    """Refuse a key that may do more than whoever wants to make it, or to change it.

    Whether the granter has to do with keys at all, its scopes say.

    Args:
        granter: Who asks.
        key: What is to be made, or what is to be rotated: its maker gets the secret.

    Raises:
        ForbiddenError: The key goes beyond the granter, or belongs to somebody else.
    """
    asked = key.principal
    for what, is_within in _RULES.items():
        if not is_within(asked, granter):
            raise ForbiddenError(f"The key goes beyond your own {what}")


def may_revoke(revoker: Principal, key: VirtualKey) -> None:
    """Refuse to revoke a key of others; what it may do does not matter.

    Args:
        revoker: Who asks.
        key: What is to be revoked.

    Raises:
        ForbiddenError: The key belongs to another organisation or team.
    """
    asked = key.principal
    for what in ("organisation", "team"):
        if not _RULES[what](asked, revoker):
            raise ForbiddenError(f"The key goes beyond your own {what}")


def _models_within(asked: Principal, granter: Principal) -> bool:
    if granter.models is None:
        return True
    return asked.models is not None and all(
        any(_is_narrower(pattern, own) for own in granter.models)
        for pattern in asked.models
    )


def _is_narrower(pattern: str, own: str) -> bool:
    """Tell whether a pattern surely matches no more than another one."""
    is_literal = _WILDCARDS.isdisjoint(pattern)
    return pattern == own or (is_literal and fnmatchcase(pattern, own))


def _surfaces_within(asked: Principal, granter: Principal) -> bool:
    if granter.surfaces is None:
        return True
    return asked.surfaces is not None and asked.surfaces <= granter.surfaces


def _networks_within(asked: Principal, granter: Principal) -> bool:
    if not granter.networks:
        return True
    return bool(asked.networks) and all(
        any(
            network.prefixlen >= own.prefixlen and network.network_address in own
            for own in granter.networks
        )
        for network in asked.networks
    )


def _budgets_within(asked: Principal, granter: Principal) -> bool:
    nanos = {budget.period: budget.nanos for budget in asked.allowance.budgets}
    return all(
        _is_at_most(nanos.get(budget.period), budget.nanos)
        for budget in granter.allowance.budgets
    )


def _is_at_most(asked: _T | None, own: _T | None) -> bool:
    """Compare two bounds, of which None is none."""
    return own is None or (asked is not None and asked <= own)


def _limit_rule(field: str) -> Callable[[Principal, Principal], bool]:
    def is_within(asked: Principal, granter: Principal) -> bool:
        return _is_at_most(
            getattr(asked.allowance, field), getattr(granter.allowance, field)
        )

    return is_within


_RULES: dict[str, Callable[[Principal, Principal], bool]] = {
    "organisation": lambda asked, granter: (
        granter.organisation in ("", asked.organisation)
    ),
    "team": lambda asked, granter: granter.team in ("", asked.team),
    "scopes": lambda asked, granter: asked.scopes <= granter.scopes,
    "models": _models_within,
    "surfaces": _surfaces_within,
    "networks": _networks_within,
    "expiry": lambda asked, granter: _is_at_most(asked.expires_at, granter.expires_at),
    "requests per minute": _limit_rule("requests_per_minute"),
    "tokens per minute": _limit_rule("tokens_per_minute"),
    "concurrent requests": _limit_rule("concurrent_requests"),
    "budgets": _budgets_within,
}
