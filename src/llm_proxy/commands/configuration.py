"""What ``llm-proxy config check`` prints."""

from collections.abc import Iterator, Sequence
from itertools import chain
from urllib.parse import urlsplit

from fastapi import FastAPI
from pydantic import SecretStr
from rich.console import Console
from rich.table import Column, Table

from llm_proxy.config import (
    ALIAS_PROVIDER,
    DEFAULT_PATH,
    ComplexityConfig,
    ProxyConfig,
    load_config,
)
from llm_proxy.errors import APIError
from llm_proxy.providers import ProviderFactory
from llm_proxy.routing import Catalog, Deployment, Route
from llm_proxy.settings import Settings


def show_configuration(app: FastAPI) -> None:
    """Print what an application would serve, and what of it makes no sense.

    Args:
        app: It need not be open.
    """
    settings: Settings = app.state.settings
    catalog: Catalog = app.state.catalog
    config = load_config(settings.config_file, settings.variable)
    console = Console()
    console.print(_providers(app.state.providers))
    console.print(_models(catalog, config))
    console.print(_memory(app, settings))
    for warning in chain(_idle_hedges(config, catalog), _idle_limits(config, catalog)):
        line = f"Warning: {settings.config_file or DEFAULT_PATH}: {warning}"
        console.print(line, markup=False, soft_wrap=True)
    console.print("The configuration is valid.")


def _providers(factory: ProviderFactory) -> Table:
    providers = _table("Providers", "provider", "reached at", "default model")
    for status in factory.status():
        providers.add_row(status.name, status.address, status.model or "-")
    return providers


def _models(catalog: Catalog, config: ProxyConfig) -> Table:
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
    return models


def _memory(app: FastAPI, settings: Settings) -> Table:
    """Say what is remembered where."""
    memory = _table("Memory", "what", "where")
    url = settings.database_url if settings.has_database else None
    memory.add_row("database", _place(url))
    memory.add_row("redis", _place(settings.redis_url))
    memory.add_row("virtual keys", _keys(app, settings))
    memory.add_row("cache", _cache(settings))
    return memory


def _place(url: SecretStr | None) -> str:
    """Write an address without the secrets in it."""
    if url is None:
        return "off"
    parts = urlsplit(url.get_secret_value())
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _keys(app: FastAPI, settings: Settings) -> str:
    if app.state.keys is not None:
        return "on"
    return "off: KEY_PEPPER is not set" if settings.has_database else "off: no database"


def _cache(settings: Settings) -> str:
    if settings.cache_policy == "off":
        return "off"
    surfaces = ", ".join(sorted(settings.cached_surfaces))
    return f"{settings.cache_policy}: {surfaces}; {settings.cache_ttl:g} s"


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


def _idle_limits(config: ProxyConfig, catalog: Catalog) -> Iterator[str]:
    """Say which limits can bound nobody."""
    limits = config.limits
    for section, names in (("users", limits.users), ("teams", limits.teams)):
        for name in names:
            if name.count("/") > 1:
                yield (
                    f"limits.{section}.{name}: no effect, because more than an "
                    "organisation stands before the name"
                )
    for name in limits.models:
        if not _is_known(catalog, name):
            yield f"limits.models.{name}: no effect, because no model has this name"


def _is_known(catalog: Catalog, name: str) -> bool:
    """Tell whether callers can mean a model by a name, in whatever case they write."""
    own = {entry.model.lower() for entry in catalog.entries()}
    if name.lower() in own:
        return True
    try:
        catalog.resolve(name)
    except APIError:
        return False
    return True
