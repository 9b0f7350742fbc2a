"""Who may see, make and revoke which key: nobody can grant more than they have."""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import TypeVar

from llm_proxy.errors import ForbiddenError
from llm_proxy.security.virtual_key import VirtualKey
from llm_proxy.types import ROLES, AccessRole, Principal

_T = TypeVar("_T", int, float)
_Rule = Callable[[Principal, Principal], bool]
_WILDCARDS = frozenset("*?[")


def seen_by(viewer: Principal) -> dict[str, str]:
    """Say whose keys somebody may see.

    Args:
        viewer: Who asks.

    Returns:
        Fields of a `VirtualKey`, and the value that each must have; empty for all keys.
    """
    # All scopes of an operator are those of somebody who watches over others.
    return _belonging(viewer, "operator")


def may_see(viewer: Principal, key: VirtualKey) -> bool:
    """Tell whether somebody may see a key.

    Args:
        viewer: Who asks.
        key: What there is.

    Returns:
        Whether it is one of those that `seen_by` describes.
    """
    return _is_of(key, seen_by(viewer))


def may_grant(granter: Principal, key: VirtualKey) -> None:
    """Refuse a key that may do more than whoever wants to make it, or to change it.

    Whether the granter has to do with keys at all, its scopes say.

    Args:
        granter: Who asks.
        key: What is to be made, or what is to be rotated: its maker gets the secret.

    Raises:
        ForbiddenError: The key goes beyond the granter, or belongs to somebody else.
    """
    may_revoke(granter, key)
    asked = key.principal
    for what, is_within in _EXTENT.items():
        if not is_within(asked, granter):
            raise _beyond(what)


def may_revoke(revoker: Principal, key: VirtualKey) -> None:
    """Refuse to revoke a key of others; what it may do does not matter.

    Args:
        revoker: Who asks.
        key: What is to be revoked.

    Raises:
        ForbiddenError: The key belongs to somebody else.
    """
    # All scopes of an admin are those of somebody who makes keys for others.
    for field, value in _belonging(revoker, "admin").items():
        if not _is_of(key, {field: value}):
            raise _beyond(field)


def _beyond(what: str) -> ForbiddenError:
    return ForbiddenError(
        f"The key goes beyond your own {what}",
        details={"reason": "grant", "beyond": what},
    )


def _belonging(caller: Principal, role: AccessRole) -> dict[str, str]:
    """Say whose keys are a caller's own, unless a role makes others' their task.

    Teams and people are counted within their organisation, and people within their
    team, where those without a name are ones as well.
    """
    bounds = {}
    if caller.user and not caller.scopes >= ROLES[role]:
        bounds["owner"] = caller.user
    if bounds or caller.team:
        bounds["team"] = caller.team
    if bounds or caller.organisation:
        bounds["organisation"] = caller.organisation
    return bounds


def _is_of(key: VirtualKey, bounds: Mapping[str, str]) -> bool:
    return all(getattr(key, field) == value for field, value in bounds.items())


def _models_within(asked: Principal, granter: Principal) -> bool:
    if granter.models is None:
        return True
    return asked.models is not None and all(
        any(_is_narrower(pattern, own) for own in granter.models)
        for pattern in asked.models
    )


def _is_narrower(pattern: str, own: str) -> bool:
    """Tell whether a pattern surely matches no more than another one."""
    pattern, own = pattern.lower(), own.lower()
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


def _limit_rule(field: str) -> _Rule:
    def is_within(asked: Principal, granter: Principal) -> bool:
        return _is_at_most(
            getattr(asked.allowance, field), getattr(granter.allowance, field)
        )

    return is_within


# What a key may do.
_EXTENT: dict[str, _Rule] = {
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
