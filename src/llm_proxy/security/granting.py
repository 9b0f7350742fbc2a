"""Who may make, rotate and revoke which key: nobody can grant more than they have."""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import TypeVar

from llm_proxy.errors import ForbiddenError
from llm_proxy.security.virtual_key import VirtualKey
from llm_proxy.types import ROLES, Principal

_T = TypeVar("_T", int, float)
_Rule = Callable[[Principal, Principal], bool]
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
    _check(granter, key, _BELONGING | _EXTENT)


def may_revoke(revoker: Principal, key: VirtualKey) -> None:
    """Refuse to revoke a key of others; what it may do does not matter.

    Args:
        revoker: Who asks.
        key: What is to be revoked.

    Raises:
        ForbiddenError: The key belongs to somebody else.
    """
    _check(revoker, key, _BELONGING)


def _check(caller: Principal, key: VirtualKey, rules: Mapping[str, _Rule]) -> None:
    asked = key.principal
    for what, is_within in rules.items():
        if not is_within(asked, caller):
            raise ForbiddenError(f"The key goes beyond your own {what}")


def _organisation_within(asked: Principal, granter: Principal) -> bool:
    is_bound = granter.organisation or granter.team or _is_bound_to_owner(granter)
    # Teams and people are counted within their organisation, and there is one without
    # a name.
    return not is_bound or asked.organisation == granter.organisation


def _owner_within(asked: Principal, granter: Principal) -> bool:
    return not _is_bound_to_owner(granter) or asked.user == granter.user


def _is_bound_to_owner(granter: Principal) -> bool:
    """Tell whether somebody has keys made for themselves alone.

    Whoever has all scopes of an admin has the task to make keys for other people.
    """
    return bool(granter.user) and not granter.scopes >= ROLES["admin"]


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


def _limit_rule(field: str) -> _Rule:
    def is_within(asked: Principal, granter: Principal) -> bool:
        return _is_at_most(
            getattr(asked.allowance, field), getattr(granter.allowance, field)
        )

    return is_within


# Whose a key may be, as counters of their use are not to be escaped.
_BELONGING: dict[str, _Rule] = {
    "organisation": _organisation_within,
    "team": lambda asked, granter: granter.team in ("", asked.team),
    "owner": _owner_within,
}
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
