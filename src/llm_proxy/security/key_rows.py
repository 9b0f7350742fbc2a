"""Turns virtual keys into rows of their table, and rows into virtual keys."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from llm_proxy.errors import InternalError
from llm_proxy.security.virtual_key import VirtualKey
from llm_proxy.types import Allowance, Scope, SurfaceName

if TYPE_CHECKING:
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
    """Write a key for programs, and for the audit log.

    Args:
        key: One that `check_key` accepts.

    Returns:
        All fields, of what JSON knows.
    """
    named = {name: getattr(key, name) for name in _COLUMNS}
    moments = {f"{name}_at": getattr(key, f"{name}_at") for name in _MOMENTS}
    terms = _Terms.model_validate(key).model_dump(mode="json")
    return {**named, **terms, **moments}


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
