"""Turns virtual keys into rows of their table, and rows into virtual keys."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from llm_proxy.errors import InternalError
from llm_proxy.security.virtual_key import VirtualKey
from llm_proxy.types import Allowance, Scope, SurfaceName
from llm_proxy.types.money import dollars

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Row

_COLUMNS = (
    "id",
    "name",
    "organisation",
    "team",
    "owner",
    "project",
    "role",
    "created_by",
)
_MOMENTS = ("created", "expires", "revoked")


class _Terms(BaseModel):
    """The fields that stand in one column, as JSON.

    What a later version of the program has added may be a bound, so that a key with a
    field that is not known here is not read at all.
    """

    model_config = ConfigDict(extra="forbid", strict=True, from_attributes=True)

    tags: tuple[str, ...]
    scopes: frozenset[Scope] | None
    models: tuple[str, ...] | None
    surfaces: frozenset[SurfaceName] | None
    networks: tuple[IPv4Network | IPv6Network, ...]
    allowance: Allowance


def write_key(key: VirtualKey) -> dict[str, Any]:
    """Write a key as a row.

    Args:
        key: One that `check_key` accepts.

    Returns:
        A value for each column but the one that says when the row was changed.
    """
    row = {name: getattr(key, name) for name in _COLUMNS}
    for name in _MOMENTS:
        row[f"{name}_ms"] = to_ms(getattr(key, f"{name}_at"))
    return {**row, "terms": _Terms.model_validate(key).model_dump_json()}


def describe(key: VirtualKey) -> dict[str, Any]:
    """Write a key for callers, programs and the audit log.

    Args:
        key: One that `check_key` accepts.

    Returns:
        All fields, of what JSON knows: money in dollars, moments as RFC 3339 has them.
    """
    return {
        "id": key.id,
        "name": key.name,
        "organisation": key.organisation,
        "team": key.team,
        "owner": key.owner,
        "project": key.project,
        "tags": [*key.tags],
        "role": key.role,
        "scopes": _sorted(key.scopes),
        "models": None if key.models is None else [*key.models],
        "surfaces": _sorted(key.surfaces),
        "networks": [str(network) for network in key.networks],
        "allowance": _describe_allowance(key.allowance),
        "created_at": write_moment(key.created_at),
        "created_by": key.created_by,
        "expires_at": write_moment(key.expires_at),
        "revoked_at": write_moment(key.revoked_at),
    }


def read_key(row: Row[Any]) -> VirtualKey:
    """Read a key back.

    Args:
        row: As `write_key` has made it.

    Returns:
        The key.

    Raises:
        InternalError: Another version of the program, or somebody by hand, has written
            what cannot be understood here.
    """
    fields = {name: getattr(row, name) for name in _COLUMNS}
    for name in _MOMENTS:
        fields[f"{name}_at"] = to_seconds(getattr(row, f"{name}_ms"))
    try:
        terms = _Terms.model_validate_json(row.terms)
    except ValidationError as error:
        detail = f"the terms of {row.id} cannot be read: {error.error_count()} problems"
        raise InternalError(log_detail=detail) from None
    return VirtualKey(**fields, **dict(terms))


def write_moment(seconds: float | None) -> str | None:
    """Write a moment for callers, programs and the audit log.

    Args:
        seconds: Since the epoch; None for no moment.

    Returns:
        The moment in UTC, to the millisecond, as the database has it.
    """
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(round(seconds, 3), UTC)
    return moment.isoformat().replace("+00:00", "Z")


def read_moment(text: str) -> datetime:
    """Read a moment of a caller's or of the command line.

    Args:
        text: As RFC 3339 has it, or more freely ISO 8601; with a time zone.

    Returns:
        The moment.

    Raises:
        ValueError: It is something else.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment


def to_ms(moment: float | None) -> int | None:
    """Write a moment as the database has it.

    Args:
        moment: Seconds since the epoch; None for no moment.

    Returns:
        Milliseconds since then.
    """
    return None if moment is None else round(moment * 1000)


def to_seconds(moment_ms: int | None) -> float | None:
    """Read a moment of the database.

    Args:
        moment_ms: Milliseconds since the epoch; None for no moment.

    Returns:
        Seconds since then.
    """
    return None if moment_ms is None else moment_ms / 1000


def _sorted(names: Collection[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)


def _describe_allowance(allowance: Allowance) -> dict[str, Any]:
    budgets: dict[str, Any] = dict.fromkeys(("day", "month", "total", "warn_at"))
    for budget in allowance.budgets:
        budgets |= {budget.period: dollars(budget.nanos), "warn_at": budget.warn_at}
    return {
        "requests_per_minute": allowance.requests_per_minute,
        "tokens_per_minute": allowance.tokens_per_minute,
        "concurrent_requests": allowance.concurrent_requests,
        "budgets": budgets,
    }
