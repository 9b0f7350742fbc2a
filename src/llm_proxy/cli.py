"""``llm-proxy``: serve, try it out, check the configuration, test an instance."""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

import typer
from fastapi import FastAPI
from rich.console import Console
from rich.table import Column, Table

from llm_proxy import __version__
from llm_proxy.commands import database, keys, usage
from llm_proxy.config import (
    ALIAS_PROVIDER,
    DEFAULT_PATH,
    ComplexityConfig,
    ProxyConfig,
    load_config,
)
from llm_proxy.main import create_app
from llm_proxy.providers import ProviderFactory
from llm_proxy.quickstart import prepare
from llm_proxy.routing import Catalog, Deployment, Route
from llm_proxy.selftest import selftest
from llm_proxy.server import EdgeLimits, ServerConfig, serve
from llm_proxy.settings import ConfigurationError, Settings, load_settings

_cli = typer.Typer(
    help="One service between people's programs and language models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_config = typer.Typer(help="The configuration.", no_args_is_help=True)
_cli.add_typer(_config, name="config")
_cli.add_typer(database.commands, name="db")
_cli.add_typer(keys.commands, name="keys")
_cli.add_typer(usage.commands, name="usage")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits the process.

    Args:
        arguments: Default: those of the process.
    """
    try:
        _cli(list(sys.argv[1:] if arguments is None else arguments))
    except ConfigurationError as error:
        sys.exit(f"llm-proxy cannot start:\n{error}")


@_cli.command("serve")
def serve_command() -> None:
    """Serve what the environment describes; API_TOKEN must be set."""
    settings = load_settings()
    _serve(settings, create_app(settings))


@_cli.command("dev")
def dev_command() -> None:
    """Serve on this machine, with a token of its own and the best provider there is."""
    quickstart = prepare()
    app = create_app(quickstart.settings)
    _serve(quickstart.settings, app, lambda: typer.echo(quickstart.welcome()))


@_cli.command("selftest", help="Try every fault on an instance.")
def selftest_command(
    url: Annotated[str | None, typer.Option(help="Default: HOST and PORT.")] = None,
    token: Annotated[str | None, typer.Option(help="Default: from API_TOKEN.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Try every fault on a running instance; without one, on one of its own.

    Args:
        url: Where it is.
        token: One of its API tokens.
        as_json: Whether to print for programs.
    """
    raise typer.Exit(selftest(url, token, as_json))


@_cli.command("version")
def version_command() -> None:
    """Print the version."""
    typer.echo(__version__)


@_config.command("check")
def check_command() -> None:
    """Check settings and llm-proxy.yaml offline, and print what would be served."""
    settings = load_settings()
    app = create_app(settings)
    factory: ProviderFactory = app.state.providers
    catalog: Catalog = app.state.catalog
    config = load_config(settings.config_file, settings.variable)
    console = Console()
    providers = _table("Providers", "provider", "reached at", "default model")
    for status in factory.status():
        providers.add_row(status.name, status.address, status.model or "-")
    console.print(providers)
    models = _table("Models", "provider", "model", "who is asked")
    for entry in catalog.entries():
        is_alias = entry.provider == ALIAS_PROVIDER
        complexity = config.models[entry.model].complexity if is_alias else None
        if complexity is None:
            asked = _order(catalog.route(entry.provider, entry.model))
        else:
            asked = _choice(complexity)
        default = " (default)" if entry.default else ""
        models.add_row(entry.provider, entry.model + default, asked)
    console.print(models)
    for warning in _idle_hedges(config, catalog):
        line = f"Warning: {settings.config_file or DEFAULT_PATH}: {warning}"
        console.print(line, markup=False, soft_wrap=True)
    console.print("The configuration is valid.")


def _table(title: str, *headers: str) -> Table:
    # Folded, because what stands here is to be copied, also from a narrow terminal.
    return Table(*(Column(each, overflow="fold") for each in headers), title=title)


def _order(route: Route) -> str:
    """List the tiers, each on a line; what two fallbacks share stands there once."""
    return "\nthen ".join(dict.fromkeys(_tier(tier) for tier in route.tiers))


def _tier(deployments: Sequence[Deployment]) -> str:
    if len(deployments) == 1:
        return str(deployments[0].target)
    return ", ".join(f"{each.target} (weight {each.weight})" for each in deployments)


def _choice(complexity: ComplexityConfig) -> str:
    to_fast, to_complex = complexity.thresholds
    return (
        f"simple: {complexity.simple}\n"
        f"fast, from {to_fast:g}: {complexity.fast}\n"
        f"complex, from {to_complex:g}: {complexity.complex}"
    )


def _idle_hedges(config: ProxyConfig, catalog: Catalog) -> Iterator[str]:
    """Say where `hedge_after` can have no effect."""
    for alias, model in config.models.items():
        if model.hedge_after is None:
            continue
        place = f"models.{alias}.hedge_after"
        routes = catalog.route(ALIAS_PROVIDER, alias), catalog.resolve(alias)
        deadline = max(route.deadline_seconds for route in routes)
        if len(set(routes[0].targets)) == 1:
            yield f"{place}: no effect without another deployment or a fallback"
        elif model.hedge_after >= deadline:
            yield f"{place}: no effect, because every call is over after {deadline:g} s"


def _serve(
    settings: Settings, app: FastAPI, on_ready: Callable[[], None] = lambda: None
) -> None:
    serve(
        app,
        ServerConfig(
            host=settings.host,
            port=settings.port,
            drain=app.state.drain,
            shutdown_timeout=settings.shutdown_timeout,
            limits=EdgeLimits(
                max_head_bytes=settings.max_head_bytes,
                head_timeout=settings.head_timeout,
                body_timeout=settings.body_timeout,
                max_connections=settings.max_connections,
            ),
            on_ready=on_ready,
        ),
    )
