"""``llm-proxy keys``: who may use the service, and how much."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import orjson
import typer

# Typer reads these types when it makes the commands.
from llm_proxy.commands.database import opened
from llm_proxy.commands.key_options import (
    REPEATED,
    AsJSON,
    Concurrent,
    Dollars,
    Expires,
    KeyID,
    Models,
    Name,
    Networks,
    NewName,
    Organisation,
    Overlap,
    Owner,
    Project,
    Quiet,
    Requests,
    Role,
    Scopes,
    Surfaces,
    Tags,
    Team,
    Tokens,
    Unset,
    WarnAt,
    given,
    read_among,
    read_span,
    read_terms,
    with_option,
)
from llm_proxy.commands.key_tables import print_key, print_keys
from llm_proxy.errors import InvalidInputError, NotFoundError
from llm_proxy.ledger.budgets import spending
from llm_proxy.security.audit import Actor
from llm_proxy.security.key_queries import find_older_secrets_end
from llm_proxy.security.key_rows import describe, write_moment
from llm_proxy.security.key_store import KeyFilter, KeyStore
from llm_proxy.security.pepper import find_pepper
from llm_proxy.security.virtual_key import VirtualKey
from llm_proxy.settings import ConfigurationError, load_settings
from llm_proxy.types import ROLES
from llm_proxy.variables import LOCAL

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

commands = typer.Typer(help="Virtual keys.", no_args_is_help=True)

_ACTOR = Actor("cli")
_PAGE_KEYS = 500


@commands.command("create", epilog=REPEATED)
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
    expires: Expires = None,
    rpm: Requests = None,
    tpm: Tokens = None,
    concurrent: Concurrent = None,
    budget_day: Dollars = None,
    budget_month: Dollars = None,
    budget_total: Dollars = None,
    warn_at: WarnAt = None,
    as_json: AsJSON = False,
    quiet: Quiet = False,
) -> None:
    """Make a key, and show its secret this once."""
    terms = given(project=project, tag=tag, expires=expires)
    terms |= given(model=model, surface=surface, network=network)
    terms |= given(rpm=rpm, tpm=tpm, concurrent=concurrent, warn_at=warn_at)
    terms |= given(budget_day=budget_day, budget_month=budget_month)
    terms |= given(budget_total=budget_total)
    key = VirtualKey(
        name,
        organisation or "",
        team or "",
        owner or "",
        role=role,
        scopes=read_among(ROLES[role], scope, "--scope"),
        created_by=_ACTOR.name,
        **read_terms(terms),
    )
    _show_secret(key, asyncio.run(_create(key)), as_json, quiet)


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


@commands.command("show")
def _show_command(key_id: KeyID, as_json: AsJSON = False) -> None:
    """Show a key, and what is left of its budgets."""
    asyncio.run(_show(key_id, as_json))


@commands.command("update", epilog=REPEATED)
def _update_command(  # noqa: PLR0913 - each is an option
    key_id: KeyID,
    name: NewName = None,
    project: Project = None,
    tag: Tags = None,
    model: Models = None,
    surface: Surfaces = None,
    network: Networks = None,
    expires: Expires = None,
    rpm: Requests = None,
    tpm: Tokens = None,
    concurrent: Concurrent = None,
    budget_day: Dollars = None,
    budget_month: Dollars = None,
    budget_total: Dollars = None,
    warn_at: WarnAt = None,
    unset: Unset = None,
    as_json: AsJSON = False,
) -> None:
    """Change a key, and show it; what is left out stays."""
    terms = given(name=name, project=project, tag=tag, expires=expires)
    terms |= given(model=model, surface=surface, network=network)
    terms |= given(rpm=rpm, tpm=tpm, concurrent=concurrent, warn_at=warn_at)
    terms |= given(budget_day=budget_day, budget_month=budget_month)
    terms |= given(budget_total=budget_total)
    lost = unset or []
    if not terms and not lost:
        raise ConfigurationError("There is nothing to change: see --help")

    def change(key: VirtualKey) -> VirtualKey:
        return replace(key, **read_terms(terms, key.allowance, lost))

    asyncio.run(_update(key_id, change, as_json))


@commands.command("rotate")
def _rotate_command(
    key_id: KeyID,
    overlap: Overlap = "1h",
    as_json: AsJSON = False,
    quiet: Quiet = False,
) -> None:
    """Give a key another secret, and show it this once."""
    seconds = read_span(overlap)
    if seconds is None:
        raise ConfigurationError(f"--overlap {overlap}: must be such as 0s, 1h or 7d")
    _show_secret(*asyncio.run(_rotate(key_id, seconds)), as_json, quiet)


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
            raise ConfigurationError(with_option(error.message)) from error


async def _create(key: VirtualKey) -> str:
    async with _opened() as store:
        return await store.create(key, _ACTOR)


async def _show(key_id: str, as_json: bool) -> None:
    async with _opened() as store:
        await _print(store, await _get(store, key_id), as_json)


async def _update(
    key_id: str, change: Callable[[VirtualKey], VirtualKey], as_json: bool
) -> None:
    async with _opened() as store:
        await _print(store, await store.update(key_id, change, _ACTOR), as_json)


async def _rotate(key_id: str, overlap_seconds: float) -> tuple[VirtualKey, str]:
    async with _opened() as store:
        secret = await store.rotate(key_id, overlap_seconds, _ACTOR)
        return await _get(store, key_id), secret


async def _revoke(key_id: str) -> None:
    async with _opened() as store:
        await store.revoke(key_id, _ACTOR)


async def _list(wanted: KeyFilter, as_json: bool) -> None:
    keys: list[VirtualKey] = []
    after = ""
    async with _opened() as store:
        while page := await store.list_keys(wanted, after, _PAGE_KEYS):
            after = page[-1].id
            if as_json:
                typer.echo(b"\n".join(orjson.dumps(describe(key)) for key in page))
            else:
                keys.extend(page)
    if not as_json:
        print_keys(keys)


async def _get(store: KeyStore, key_id: str) -> VirtualKey:
    key = await store.get(key_id)
    if key is None:
        raise NotFoundError("There is no such key")
    return key


async def _print(store: KeyStore, key: VirtualKey, as_json: bool) -> None:
    budgets = await spending(store.database, key.id, key.allowance.budgets)
    older_end = await find_older_secrets_end(store.database, key)
    if as_json:
        more = {"budgets": budgets, "older_secrets_until": write_moment(older_end)}
        typer.echo(orjson.dumps(describe(key) | more))
    else:
        print_key(key, budgets, older_end)


def _show_secret(key: VirtualKey, secret: str, as_json: bool, quiet: bool) -> None:
    if as_json:
        typer.echo(orjson.dumps(describe(key) | {"secret": secret}))
    elif quiet:
        typer.echo(secret)
    else:
        typer.echo(f"Key:    {key.id}\nSecret: {secret}\nIt is not shown again.")
