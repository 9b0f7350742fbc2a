"""``llm-proxy keys``: who may use the service, and how much."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, TypeVar, get_args

import orjson
import typer
from pydantic import ValidationError

from llm_proxy.commands.database import opened
from llm_proxy.commands.tables import print_table
from llm_proxy.config.limits import AllowanceConfig
from llm_proxy.errors import InvalidInputError, NotFoundError
from llm_proxy.ledger.days import read_day
from llm_proxy.security.audit import Actor
from llm_proxy.security.key_rows import describe
from llm_proxy.security.key_store import KeyFilter, KeyStore
from llm_proxy.security.pepper import find_pepper
from llm_proxy.security.virtual_key import VirtualKey
from llm_proxy.setting_rules import parse_networks
from llm_proxy.settings import ConfigurationError, load_settings
from llm_proxy.types import ROLES, AccessRole, SurfaceName
from llm_proxy.variables import LOCAL

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Mapping, Sequence

    from llm_proxy.security.address import Network
    from llm_proxy.types import Allowance

commands = typer.Typer(help="Virtual keys.", no_args_is_help=True)

_T = TypeVar("_T", bound=str)
_ACTOR = Actor("cli")
_PAGE_KEYS = 500
_SPAN = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SHOWN = ("id", "name", "organisation", "team", "owner", "project", "role")

KeyID = Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.")]
Name = Annotated[str, typer.Argument(help="What people call it.")]
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
Expires = Annotated[str, typer.Option(help="Such as 30d, 12h or 2027-01-01.")]
Requests = Annotated[int | None, typer.Option(help="Requests per minute.")]
Tokens = Annotated[int | None, typer.Option(help="Tokens per minute.")]
Concurrent = Annotated[int | None, typer.Option(help="Calls at the same time.")]
Dollars = Annotated[str | None, typer.Option(metavar="USD", help="That may be spent.")]
Overlap = Annotated[str, typer.Option(help="How long older secrets work: 0s to 30d.")]
AsJSON = Annotated[bool, typer.Option("--json", help="For programs.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only the secret.")]


@commands.command("create", epilog="* may be given more than once")
def _create_command(  # noqa: PLR0913 - each is an option
    name: Name,
    organisation: Organisation = None,
    team: Team = None,
    owner: Owner = None,
    project: Project = None,
    tag: Tags = None,
    role: Role = "developer",
    scope: Scopes = None,
    model: Models = None,
    surface: Surfaces = None,
    network: Networks = None,
    expires: Expires = "",
    rpm: Requests = None,
    tpm: Tokens = None,
    concurrent: Concurrent = None,
    budget_day: Dollars = None,
    budget_month: Dollars = None,
    budget_total: Dollars = None,
    as_json: AsJSON = False,
    quiet: Quiet = False,
) -> None:
    """Make a key, and show its secret this once."""
    budgets = {"day": budget_day, "month": budget_month, "total": budget_total}
    key = VirtualKey(
        name,
        organisation or "",
        team or "",
        owner or "",
        project or "",
        tags=tuple(tag or ()),
        role=role,
        scopes=_among(ROLES[role], scope, "--scope"),
        models=tuple(model) if model else None,
        surfaces=_among(get_args(SurfaceName), surface, "--surface"),
        networks=_networks(network or ()),
        allowance=_allowance(rpm, tpm, concurrent, budgets),
        created_by=_ACTOR.name,
        expires_at=_moment(expires) if expires else None,
    )
    secret = asyncio.run(_create(key))
    _show_secret(key.id, secret, as_json, quiet)


@commands.command("list")
def _list_command(
    organisation: Organisation = None,
    team: Team = None,
    owner: Owner = None,
    project: Project = None,
    as_json: AsJSON = False,
) -> None:
    """List keys, also those that have ended."""
    asyncio.run(_list(KeyFilter(organisation, team, owner, project), as_json))


@commands.command("rotate")
def _rotate_command(
    key_id: KeyID,
    overlap: Overlap = "1h",
    as_json: AsJSON = False,
    quiet: Quiet = False,
) -> None:
    """Give a key another secret, and show it this once."""
    seconds = _span(overlap)
    if seconds is None:
        raise ConfigurationError(f"--overlap {overlap}: must be such as 0s, 1h or 7d")
    _show_secret(key_id, asyncio.run(_rotate(key_id, seconds)), as_json, quiet)


@commands.command("revoke")
def _revoke_command(key_id: KeyID) -> None:
    """End a key for good."""
    asyncio.run(_revoke(key_id))
    typer.echo(f"{key_id} is revoked.")


@asynccontextmanager
async def _opened() -> AsyncGenerator[KeyStore]:
    """Open the keys of the settings, whose tables the service would upgrade as well."""
    from llm_proxy.storage import check, upgrade

    settings = load_settings()
    async with opened() as database:
        await (upgrade if settings.environment in LOCAL else check)(database)
        try:
            yield KeyStore(database, find_pepper(settings))
        except (InvalidInputError, NotFoundError) as error:
            raise ConfigurationError(error.message) from error


async def _create(key: VirtualKey) -> str:
    async with _opened() as store:
        return await store.create(key, _ACTOR)


async def _rotate(key_id: str, overlap_seconds: float) -> str:
    async with _opened() as store:
        return await store.rotate(key_id, overlap_seconds, _ACTOR)


async def _revoke(key_id: str) -> None:
    async with _opened() as store:
        await store.revoke(key_id, _ACTOR)


async def _list(wanted: KeyFilter, as_json: bool) -> None:
    rows: list[list[str]] = []
    after = ""
    async with _opened() as store:
        while page := await store.list_keys(wanted, after, _PAGE_KEYS):
            after = page[-1].id
            if as_json:
                typer.echo(b"\n".join(orjson.dumps(describe(key)) for key in page))
            else:
                rows.extend(_cells(key) for key in page)
    if not as_json:
        print_table((*_SHOWN, "state"), rows)


def _cells(key: VirtualKey) -> list[str]:
    cells = [getattr(key, name) or "-" for name in _SHOWN]
    if key.revoked_at is not None:
        return [*cells, "revoked"]
    if key.expires_at is None:
        return [*cells, "active"]
    end = datetime.fromtimestamp(key.expires_at, UTC).isoformat(" ", "minutes")
    return [*cells, f"{'ends' if key.is_usable(time.time()) else 'ended'} {end}"]


def _show_secret(key_id: str, secret: str, as_json: bool, quiet: bool) -> None:
    if as_json:
        typer.echo(orjson.dumps({"id": key_id, "secret": secret}))
    elif quiet:
        typer.echo(secret)
    else:
        typer.echo(f"Key:    {key_id}\nSecret: {secret}\nIt is not shown again.")


def _among(
    known: Collection[_T], names: Sequence[str] | None, option: str
) -> frozenset[_T] | None:
    if not names:
        return None
    chosen = frozenset(each for each in known if each in names)
    if len(chosen) < len(set(names)):
        raise ConfigurationError(f"{option}: one of {', '.join(sorted(known))}")
    return chosen


def _networks(texts: Sequence[str]) -> tuple[Network, ...]:
    try:
        return parse_networks(",".join(texts))
    except ValueError as error:
        raise ConfigurationError(f"--network: {error}") from None


def _allowance(
    rpm: int | None,
    tpm: int | None,
    concurrent: int | None,
    budgets: Mapping[str, str | None],
) -> Allowance:
    try:
        return AllowanceConfig(
            requests_per_minute=rpm,
            tokens_per_minute=tpm,
            concurrent_requests=concurrent,
            budgets=budgets,  # type: ignore[arg-type]
        ).allowance
    except ValidationError as error:
        problem = error.errors(include_input=False, include_context=False)[0]
        place = ".".join(str(each) for each in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"{place}: {message}") from None


def _moment(text: str) -> float:
    seconds = _span(text)
    if seconds is not None:
        return time.time() + seconds
    try:
        day = read_day(text)
    except ValueError:
        raise ConfigurationError(
            f"--expires {text}: must be such as 30d, 12h or 2027-01-01"
        ) from None
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def _span(text: str) -> float | None:
    found = _SPAN.fullmatch(text)
    if found is None:
        return None
    return timedelta(**{_UNITS[found[2]]: int(found[1])}).total_seconds()
