"""``llm-proxy``: serve, try it out, check the configuration, test an instance."""

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer
from fastapi import FastAPI

from llm_proxy import __version__
from llm_proxy.commands import database, keys, usage
from llm_proxy.commands.configuration import show_configuration
from llm_proxy.main import create_app
from llm_proxy.quickstart import prepare
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
        sys.exit(f"llm-proxy: {error}")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@_cli.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version.",
        ),
    ] = False,
) -> None:
    """Read what stands before a command."""
    del version


@contextmanager
def _starting() -> Generator[None]:
    """Tell of all that is in the way of a start, each on a line."""
    try:
        yield
    except ConfigurationError as error:
        sys.exit(f"llm-proxy cannot start:\n{error}")


@_cli.command("serve")
def serve_command() -> None:
    """Serve what the environment describes; API_TOKEN must be set."""
    with _starting():
        settings = load_settings()
        _serve(settings, create_app(settings))


@_cli.command("dev")
def dev_command() -> None:
    """Serve on this machine, with a token of its own and the best provider there is."""
    with _starting():
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
    with _starting():
        settings = load_settings()
        show_configuration(create_app(settings))


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
