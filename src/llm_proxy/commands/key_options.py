"""The options of ``llm-proxy keys``, and what they say of a key."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar, get_args

import typer
from pydantic import ValidationError

from llm_proxy.config.limits import AllowanceConfig
from llm_proxy.ledger.days import read_day
from llm_proxy.security.key_rows import read_moment
from llm_proxy.setting_rules import parse_networks
from llm_proxy.settings import ConfigurationError
from llm_proxy.types import UNBOUNDED, AccessRole, SurfaceName
from llm_proxy.types.money import dollars

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from llm_proxy.security.address import Network
    from llm_proxy.types import Allowance

_T = TypeVar("_T", bound=str)
_SPAN = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
REPEATED = "* may be given more than once"

KeyID = Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.")]
Name = Annotated[str, typer.Argument(help="What people call it.")]
NewName = Annotated[str | None, typer.Option("--name", help="What people call it.")]
Organisation = Annotated[str | None, typer.Option(help="To which it belongs.")]
Team = Annotated[str | None, typer.Option(help="The team.")]
Owner = Annotated[str | None, typer.Option(help="The person.")]
Project = Annotated[str | None, typer.Option(help="What the calls are for.")]
Tags = Annotated[list[str] | None, typer.Option(help="A word of your own. *")]
Role = Annotated[AccessRole, typer.Option(help="What it may do.")]
Scopes = Annotated[list[str] | None, typer.Option(help="Only these of its role. *")]
Models = Annotated[
    list[str] | None, typer.Option(help="Only these, such as 'gpt-*'. *")
]
Surfaces = Annotated[
    list[str] | None, typer.Option(help="Only these, such as openai. *")
]
Networks = Annotated[
    list[str] | None, typer.Option(help="Only these, as 10.0.0.0/8. *")
]
Expires = Annotated[
    str | None,
    typer.Option(help="Such as 30d, 12h, 2027-01-01 or 2027-01-01T10:00:00Z."),
]
Requests = Annotated[int | None, typer.Option(help="Requests per minute.")]
Tokens = Annotated[int | None, typer.Option(help="Tokens per minute.")]
Concurrent = Annotated[int | None, typer.Option(help="Calls at the same time.")]
Dollars = Annotated[str | None, typer.Option(metavar="USD", help="That may be spent.")]
WarnAt = Annotated[
    float | None, typer.Option(help="Share of a budget to warn from; 0.8.")
]
Unset = Annotated[
    list[str] | None,
    typer.Option(metavar="OPTION", help="Take off, such as budget-month. *"),
]
Overlap = Annotated[str, typer.Option(help="How long older secrets work: 0s to 30d.")]
AsJSON = Annotated[bool, typer.Option("--json", help="For programs.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only the secret.")]


def given(**options: object) -> dict[str, Any]:
    """Leave out the options that were not given.

    Args:
        **options: The values, by the names of the parameters.

    Returns:
        The others, by the names that people write.
    """
    return {
        name.replace("_", "-"): value
        for name, value in options.items()
        if value is not None and value != []
    }


def read_terms(
    options: Mapping[str, Any],
    present: Allowance = UNBOUNDED,
    unset: Collection[str] = (),
) -> dict[str, Any]:
    """Read what may be said of a key more than once.

    Args:
        options: Those that were given, by name.
        present: What the key may use; bounds that nobody names stay.
        unset: The names of options whose values the key is to lose.

    Returns:
        Values of the fields of a `VirtualKey` that are named.

    Raises:
        ConfigurationError: One of them makes no sense.
    """
    for name in unset:
        if name not in _UNSETTABLE:
            raise ConfigurationError(
                f"--unset {name}: must be one of {', '.join(sorted(_UNSETTABLE))}"
            )
        if name in options:
            raise ConfigurationError(f"--unset {name}: --{name} is given as well")
    terms: dict[str, Any] = {}
    for name, term in _TERMS.items():
        if name in options:
            terms[term.field] = term.read(options[name])
        elif name in unset:
            terms[term.field] = term.unset
    if not _BOUNDS.keys().isdisjoint((*options, *unset)):
        bounds = {**_write_allowance(present), **options}
        for name in unset:
            bounds.pop(name, None)
        if "warn-at" not in options and _BUDGETS.isdisjoint(bounds):
            # Of a key that loses its last budget.
            bounds.pop("warn-at", None)
        terms["allowance"] = _read_allowance(bounds)
    return terms


def read_among(
    known: Collection[_T], names: Sequence[str] | None, option: str
) -> frozenset[_T] | None:
    """Read an option that names some of several things.

    Args:
        known: All of them.
        names: What was given; nothing for all.
        option: The name of the option.

    Returns:
        Those that are named, or None for all.

    Raises:
        ConfigurationError: One of them is not known.
    """
    if not names:
        return None
    chosen = frozenset(each for each in known if each in names)
    if len(chosen) < len(set(names)):
        raise ConfigurationError(f"{option}: must be one of {', '.join(sorted(known))}")
    return chosen


def read_span(text: str) -> float | None:
    """Read a length of time.

    Args:
        text: Such as ``30d``, ``12h``, ``5m`` or ``0s``.

    Returns:
        Seconds; None if it is not written like that.
    """
    found = _SPAN.fullmatch(text)
    if found is None:
        return None
    return timedelta(**{_UNITS[found[2]]: int(found[1])}).total_seconds()


def with_option(problem: str) -> str:
    """Say what is wrong with an option, and not with the field that it stands for.

    Args:
        problem: The name of a field and what it must be, or anything else.

    Returns:
        The same, with the name of the option.
    """
    place, colon, rest = problem.removeprefix("allowance.").partition(": ")
    if not colon or place not in _OPTIONS:
        return problem
    return f"--{_OPTIONS[place]}: {rest}"


def _read_surfaces(names: Sequence[str]) -> frozenset[SurfaceName] | None:
    return read_among(get_args(SurfaceName), names, "--surface")


def _read_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    try:
        return parse_networks(",".join(texts))
    except ValueError as error:
        raise ConfigurationError(f"--network: {error}") from None


def _read_moment(text: str) -> float:
    seconds = read_span(text)
    if seconds is not None:
        return time.time() + seconds
    try:
        if "T" in text:
            return read_moment(text).timestamp()
        day = read_day(text)
    except ValueError:
        raise ConfigurationError(
            f"--expires {text}: must be such as 30d, 12h, 2027-01-01 or "
            "2027-01-01T10:00:00Z"
        ) from None
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def _read_allowance(options: Mapping[str, Any]) -> Allowance:
    sections: dict[str, dict[str, Any]] = {"": {}, "budgets": {}}
    for name, (section, field) in _BOUNDS.items():
        if name in options:
            sections[section][field] = options[name]
    fields = {**sections[""], "budgets": sections["budgets"]}
    try:
        return AllowanceConfig.model_validate(fields).allowance
    except ValidationError as error:
        problem = error.errors(include_input=False, include_context=False)[0]
        place = ".".join(str(each) for each in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        raise ConfigurationError(with_option(f"{place}: {message}")) from None


def _write_allowance(allowance: Allowance) -> dict[str, Any]:
    """Write it as the options that would say the same."""
    options: dict[str, Any] = {
        name: getattr(allowance, field)
        for name, (section, field) in _BOUNDS.items()
        if not section
    }
    for budget in allowance.budgets:
        options[f"budget-{budget.period}"] = dollars(budget.nanos)
        options["warn-at"] = budget.warn_at
    return options


class _Term(NamedTuple):
    """What an option says of a key."""

    field: str
    read: Callable[[Any], object]
    unset: object = None


_TERMS = {
    "name": _Term("name", str),
    "project": _Term("project", str, ""),
    "tag": _Term("tags", tuple, ()),
    "model": _Term("models", tuple),
    "surface": _Term("surfaces", _read_surfaces),
    "network": _Term("networks", _read_networks, ()),
    "expires": _Term("expires_at", _read_moment),
}
# The section and the field of an `AllowanceConfig`.
_BOUNDS = {
    "rpm": ("", "requests_per_minute"),
    "tpm": ("", "tokens_per_minute"),
    "concurrent": ("", "concurrent_requests"),
    "budget-day": ("budgets", "day"),
    "budget-month": ("budgets", "month"),
    "budget-total": ("budgets", "total"),
    "warn-at": ("budgets", "warn_at"),
}
_BUDGETS = {name for name in _BOUNDS if name.startswith("budget-")}
# By field, as errors name it.
_OPTIONS = {
    "organisation": "organisation",
    "team": "team",
    "owner": "owner",
    "overlap_seconds": "overlap",
    **{term.field: name for name, term in _TERMS.items() if name != "name"},
    **{".".join(filter(None, place)): name for name, place in _BOUNDS.items()},
}
_UNSETTABLE = {*_TERMS, *_BOUNDS} - {"name"}
