"""`llm-proxy selftest`: finds the instance, tests it, prints the scorecard."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from rich.console import Console

from llm_proxy.selftest.instance import Instance
from llm_proxy.selftest.own import answers, start_own
from llm_proxy.selftest.result import NotTestableError
from llm_proxy.selftest.run import Report, run
from llm_proxy.selftest.scorecard import encode_report, print_report
from llm_proxy.setting_rules import check_base_url
from llm_proxy.settings import ConfigurationError, Settings, load_settings

_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - not bound here, only read


def selftest(url: str | None, token: str | None, as_json: bool) -> int:
    """Test an instance and print what was found.

    Args:
        url: Where it is; None for HOST and PORT of the settings, or an instance of
            its own if nothing answers there.
        token: One of its API tokens; None for the first one of the settings.
        as_json: Whether to print for programs.

    Returns:
        The exit status: 0 if all is green, 1 if not, 2 if it could not be tested.
    """
    notes = Console(stderr=True, highlight=False)
    try:
        report = asyncio.run(_test(url, token, notes))
    except NotTestableError as error:
        notes.print(str(error), markup=False)
        return 2
    console = Console(highlight=False)
    if as_json:
        console.out(encode_report(report).decode(), highlight=False)
    else:
        print_report(report, console)
    return 0 if report.is_green else 1


async def _test(url: str | None, token: str | None, notes: Console) -> Report:
    async with _find(url, token, notes) as instance:
        notes.print(f"Testing {instance.url} …")
        return await run(instance)


@asynccontextmanager
async def _find(
    url: str | None, token: str | None, notes: Console
) -> AsyncGenerator[Instance]:
    if url is not None:
        _check(url)
    settings = _settings(required=url is not None and token is None)
    address = url or (_address(settings) if settings is not None else None)
    if address is not None and await answers(address):
        token = token or (next(iter(settings.tokens.values())) if settings else "")
        instance = Instance(address, token)
        try:
            yield instance
        finally:
            await instance.aclose()
    elif url is not None:
        raise NotTestableError(f"Nothing answers at {url}.")
    else:
        where = f"Nothing answers at {address}" if address else "There are no settings"
        notes.print(f"{where}: starting an instance for this test alone.")
        async with start_own() as instance:
            yield instance


def _check(url: str) -> None:
    try:
        check_base_url(url, "development")
    except ValueError as error:
        raise NotTestableError(f"--url {error}.") from None


def _settings(required: bool) -> Settings | None:
    try:
        return load_settings()
    except ConfigurationError as error:
        if required:
            raise NotTestableError(
                f"No token: give --token, or mend\n{error}"
            ) from error
        return None


def _address(settings: Settings) -> str:
    host = "127.0.0.1" if settings.host in _WILDCARDS else settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
