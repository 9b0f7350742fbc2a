"""What a virtual key may look like: bounded, printable, and not ambiguous."""

from collections.abc import Iterable, Iterator
from typing import get_args

from llm_proxy.errors import InvalidInputError
from llm_proxy.security.virtual_key import VirtualKey, is_key_id
from llm_proxy.types import ROLES, Allowance, Period, SurfaceName

_MAX_CHARACTERS = 255
_MAX_ITEMS = 100
# The largest whole number that every reader of JSON takes exactly.
_MAX_NUMBER = 2**53
_END_OF_TIME = 253_402_300_800.0  # the year 10000
_SURFACES = frozenset(get_args(SurfaceName))
_PERIODS = frozenset(get_args(Period))


def check_key(key: VirtualKey) -> None:
    """Refuse a key that must not be stored.

    Args:
        key: What somebody wants to make.

    Raises:
        InvalidInputError: One of its fields is not acceptable.
    """
    problems = [*_problems(key)]
    if problems:
        raise invalid(*problems)


def invalid(*problems: tuple[str, str]) -> InvalidInputError:
    """Say what is wrong with a key.

    Args:
        *problems: Fields, and what each must be.

    Returns:
        The error to raise, with the first of them as its message.
    """
    return InvalidInputError(
        ": ".join(problems[0]),
        details=[{"field": field, "problem": problem} for field, problem in problems],
    )


def _problems(key: VirtualKey) -> Iterator[tuple[str, str]]:
    yield from _text_problems(key)
    yield from _list_problems(key)
    yield from _access_problems(key)
    yield from _allowance_problems(key.allowance)
    if not is_key_id(key.id):
        yield "id", "must be key_ and 16 hexadecimal digits"
    end = key.expires_at
    if end is not None and not key.created_at < end < _END_OF_TIME:
        yield "expires_at", "must be in the future, and before the year 10000"


def _text_problems(key: VirtualKey) -> Iterator[tuple[str, str]]:
    for field in ("name", "organisation", "team", "owner", "project", "created_by"):
        if not _is_text(getattr(key, field)):
            yield field, f"must have at most {_MAX_CHARACTERS} printable characters"
    if not key.name.strip():
        yield "name", "must not be empty"
    # Counters are named organisation/team, which must mean one pair only.
    for field in ("organisation", "team", "owner"):
        if "/" in getattr(key, field):
            yield field, "must be without '/', which separates them"


def _list_problems(key: VirtualKey) -> Iterator[tuple[str, str]]:
    lists: dict[str, tuple[object, ...]] = {
        "tags": key.tags,
        "models": key.models or (),
        "networks": key.networks,
    }
    for field, items in lists.items():
        if len(items) > _MAX_ITEMS:
            yield field, f"must have at most {_MAX_ITEMS} items"
        if not all(str(item) and _is_text(str(item)) for item in items):
            yield field, f"each must have 1 to {_MAX_CHARACTERS} printable characters"


def _access_problems(key: VirtualKey) -> Iterator[tuple[str, str]]:
    if key.role not in ROLES:
        yield "role", f"must be one of {_listed(ROLES)}"
    elif not ROLES[key.role].issuperset(key.scopes or ()):
        yield "scopes", f"must be of those of {key.role}: {_listed(ROLES[key.role])}"
    if not _SURFACES.issuperset(key.surfaces or ()):
        yield "surfaces", f"must be of {_listed(_SURFACES)}"


def _allowance_problems(allowance: Allowance) -> Iterator[tuple[str, str]]:
    for field in ("requests_per_minute", "tokens_per_minute", "concurrent_requests"):
        bound = getattr(allowance, field)
        if bound is not None and not 1 <= bound <= _MAX_NUMBER:
            yield f"allowance.{field}", f"must be from 1 to {_MAX_NUMBER}"
    yield from (("allowance.budgets", each) for each in _budget_problems(allowance))


def _budget_problems(allowance: Allowance) -> Iterator[str]:
    periods = [budget.period for budget in allowance.budgets]
    if not _PERIODS.issuperset(periods):
        yield f"must be of {_listed(_PERIODS)}"
    if len(set(periods)) < len(periods):
        yield "must be at most one for a period"
    for budget in allowance.budgets:
        if not 0 <= budget.nanos <= _MAX_NUMBER:
            yield f"must be from 0 to {_MAX_NUMBER} nano-dollars"
        if not 0 <= budget.warn_at <= 1:
            yield "must warn at a share from 0 to 1"


def _is_text(text: str) -> bool:
    return len(text) <= _MAX_CHARACTERS and text.isprintable()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
