"""Virtual keys on a terminal."""

from __future__ import annotations

import time
from dataclasses import astuple
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from llm_proxy.commands.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from llm_proxy.ledger.budgets import Spending
    from llm_proxy.security.virtual_key import VirtualKey

_LISTED = ("id", "name", "organisation", "team", "owner", "project", "role")
_BOUNDS = ("requests_per_minute", "tokens_per_minute", "concurrent_requests")


def print_keys(keys: Iterable[VirtualKey]) -> None:
    """Print a line for each key.

    Args:
        keys: Also those that have ended.
    """
    rows = ([*_texts(key, _LISTED), _state(key)] for key in keys)
    print_table((*_LISTED, "state"), rows)


def print_key(
    key: VirtualKey, budgets: Collection[Spending], older_end: float | None
) -> None:
    """Print all there is to know of a key, and how its budgets stand.

    Args:
        key: It may have ended.
        budgets: Those of its own.
        older_end: Until when secrets work that a rotation has replaced, in seconds
            since the epoch; None if none works.
    """
    fields = [*_fields(key)]
    if older_end is not None:
        fields.append(("older_secrets", f"until {_moment(older_end)}"))
    print_table(("field", "value"), fields)
    if budgets:
        header = ("budget", "limit", "spent", "remaining")
        print_table(header, map(astuple, budgets))


def _fields(key: VirtualKey) -> Iterator[tuple[str, str]]:
    yield from zip(_LISTED, _texts(key, _LISTED), strict=True)
    yield "tags", ", ".join(key.tags) or "-"
    yield "scopes", _among(key.scopes)
    yield "models", _among(key.models)
    yield "surfaces", _among(key.surfaces)
    yield "networks", _among(key.networks or None)
    yield from zip(_BOUNDS, _texts(key.allowance, _BOUNDS), strict=True)
    for budget in key.allowance.budgets[:1]:
        yield "warn_at", f"{budget.warn_at:g}"
    yield "created", f"{_moment(key.created_at)} by {key.created_by}"
    yield "state", _state(key)


def _texts(value: object, fields: Iterable[str]) -> list[str]:
    return [str(getattr(value, name) or "-") for name in fields]


def _among(names: Collection[object] | None) -> str:
    if names is None:
        return "all"
    return ", ".join(sorted(map(str, names))) or "none"


def _state(key: VirtualKey) -> str:
    if key.revoked_at is not None:
        return f"revoked {_moment(key.revoked_at)}"
    if key.expires_at is None:
        return "active"
    verb = "ends" if key.is_usable(time.time()) else "ended"
    return f"{verb} {_moment(key.expires_at)}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "minutes")
