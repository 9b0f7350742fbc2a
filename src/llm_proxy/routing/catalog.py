"""From the name that a caller uses to the route that its call takes."""

import difflib
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial

from llm_proxy.config import ModelConfig, ProxyConfig
from llm_proxy.errors import (
    ProviderNotConfiguredError,
    UnknownModelError,
    UnknownProviderError,
    UnsupportedModelError,
)
from llm_proxy.pricing import PriceCatalogue
from llm_proxy.providers import ProviderFactory
from llm_proxy.providers.vendors import find_vendor
from llm_proxy.routing.listing import (
    ALIAS_PROVIDER,
    ListedModel,
    describe,
    list_models,
)
from llm_proxy.routing.names import ModelNames
from llm_proxy.routing.route import Route, Target
from llm_proxy.settings import ConfigurationError, Settings

_MAX_SHOWN = 100


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A model that callers may ask for.

    Attributes:
        provider: What to say as ``provider``.
        model: What to say as ``model``.
        default: Whether `/webhook` uses it.
    """

    provider: str
    model: str
    default: bool


class Catalog:
    """The models that can be asked for.

    Args:
        settings: Name the default provider, its fallback, and how hard to try.
        config: Its ``models`` are the aliases.
        factory: Knows the providers.
    """

    def __init__(
        self, settings: Settings, config: ProxyConfig, factory: ProviderFactory
    ) -> None:
        self._settings = settings
        self._aliases = config.models
        self._prices = PriceCatalogue()
        self._names = ModelNames(factory, self._prices, settings.llm_provider)
        self.factory = factory

    def route(self, provider: str, model: str) -> Route:
        """Find where a call goes.

        Args:
            provider: A provider's name in any case, or `ALIAS_PROVIDER`.
            model: The provider's name of a model, or an alias.

        Returns:
            The route; the fallback provider of the settings stands at its end.

        Raises:
            UnknownProviderError: Nobody has this name.
            UnsupportedModelError: There is no such alias.
            ProviderNotConfiguredError: The provider lacks its key.
        """
        if provider.lower() == ALIAS_PROVIDER:
            return self._alias_route(model)
        # Made here so that a name that leads nowhere is the caller's error at once.
        self.factory.get_provider(provider, model)
        target = Target(provider.lower(), model)
        fallbacks = [
            fallback
            for fallback in self._settings_fallback()
            if fallback.provider != target.provider
        ]
        return self._route((target, *fallbacks))

    def resolve(self, name: str) -> Route:
        """Find where a call goes whose caller says no more than a model's name.

        Args:
            name: An alias, with ``llm-proxy/`` before it or not; ``provider/model``;
                the default model of a provider; or a vendor's name of a model.

        Returns:
            The route. Who names a model wants this model: there are no fallbacks but
            those of an alias.

        Raises:
            UnknownModelError: The name leads nowhere.
            ProviderNotConfiguredError: It names a provider that lacks its key.
        """
        deadline = self._settings.v1_request_deadline
        if (alias := self._alias_of(name)) is not None:
            total = self._aliases[alias].timeouts.total
            return replace(self._alias_route(alias), deadline_seconds=total or deadline)
        target = self._names.find(name)
        # Names of dots alone would be taken for places where they stand in a path.
        if target is None or not target.model.strip("."):
            raise self._unknown(name)
        # Made here so that a name that leads nowhere is the caller's error at once.
        self.factory.get_provider(target.provider, target.model)
        return Route((target,), self._settings.retry_attempts, deadline)

    def default_route(self) -> Route:
        """Find where calls go whose callers name no model.

        Returns:
            The route of ``LLM_PROVIDER``, a provider or an alias.

        Raises:
            UnknownProviderError: Nobody has this name.
            ProviderNotConfiguredError: It lacks its key or a default model.
        """
        name = self._settings.llm_provider
        if name in self._aliases:
            return self._alias_route(name)
        return self.route(name, self.factory.default_model(name))

    def entries(self) -> list[CatalogEntry]:
        """List what callers may ask for: aliases, and providers' default models.

        Returns:
            One entry per alias and per configured provider with a default model.
        """
        default = self._settings.llm_provider
        aliases = [
            CatalogEntry(ALIAS_PROVIDER, alias, alias == default)
            for alias in self._aliases
        ]
        if default not in self._aliases:
            default = default.lower()
        return aliases + [
            CatalogEntry(status.name, status.model, status.name == default)
            for status in self.factory.status()
            if status.model is not None
        ]

    def listed(self) -> list[ListedModel]:
        """List the names that `resolve` knows: what a program may offer its user.

        The first call loads the price catalogue, which takes half a second.

        Returns:
            Aliases, default models as ``provider/model``, and what the price catalogue
            says that the providers sell which are set up.
        """
        return list(self._listing.values())

    def listed_model(self, name: str) -> ListedModel:
        """Describe one model.

        Args:
            name: What `resolve` takes.

        Returns:
            The description, also of a model that no list has.

        Raises:
            UnknownModelError: The name leads nowhere, or to a provider without its key.
        """
        found = self._listing.get(self._alias_of(name) or name)
        if found is not None:
            return found
        try:
            target = self.resolve(name).targets[0]
        except ProviderNotConfiguredError:
            raise self._unknown(name) from None
        return describe(name, target, self._prices)

    def check(self) -> None:
        """Make sure that all that the operator has named leads somewhere.

        Raises:
            ConfigurationError: One line: where a name stands, and what it lacks.
        """
        places: dict[str, Callable[[], tuple[Target, ...]]] = {
            "providers": self._default_targets,
            **{
                f"models.{alias}": partial(self._alias_targets, model)
                for alias, model in self._aliases.items()
            },
            "LLM_FALLBACK_PROVIDER": self._settings_fallback,
            "LLM_PROVIDER": lambda: self.default_route().targets,
        }
        for place, find in places.items():
            try:
                for target in find():
                    self.factory.get_provider(target.provider, target.model)
            except (UnknownProviderError, ProviderNotConfiguredError) as error:
                reasons = filter(None, (error.message, error.log_detail))
                raise ConfigurationError(f"{place}: {': '.join(reasons)}") from None

    @cached_property
    def _listing(self) -> dict[str, ListedModel]:
        return list_models(self._aliases, self._names, self._prices)

    def _alias_of(self, name: str) -> str | None:
        if name in self._aliases:
            return name
        surface, _, alias = name.partition("/")
        if alias in self._aliases and surface.lower() == ALIAS_PROVIDER:
            return alias
        return None

    def _unknown(self, name: str) -> UnknownModelError:
        """Say what is wrong with a name, and how a right one looks."""
        # What a caller sends is shown in part and without control characters.
        shown = repr(name[:_MAX_SHOWN])[1:-1][:_MAX_SHOWN]
        parts = [f"The model '{shown}' does not exist or you do not have access to it."]
        vendor = find_vendor(name)
        if vendor is not None and not self._names.is_set_up(vendor):
            parts.append(f"The provider {vendor!r} is not configured on this server.")
        near = difflib.get_close_matches(shown, self._listing)
        if near:
            parts.append(f"Did you mean {' or '.join(map(repr, near))}?")
        parts.append("Any model can be asked for as provider/model.")
        return UnknownModelError(" ".join(parts))

    def _default_targets(self) -> tuple[Target, ...]:
        return tuple(
            Target(status.name, status.model or "") for status in self.factory.status()
        )

    def _route(self, targets: tuple[Target, ...]) -> Route:
        settings = self._settings
        return Route(targets, settings.retry_attempts, settings.request_deadline)

    def _settings_fallback(self) -> tuple[Target, ...]:
        name = self._settings.llm_fallback_provider
        if name is None:
            return ()
        return (Target(name.lower(), self.factory.default_model(name)),)

    def _alias_route(self, alias: str) -> Route:
        model = self._aliases.get(alias)
        if model is None:
            raise UnsupportedModelError(
                f"No such model alias. Known: {', '.join(self._aliases) or 'none'}"
            )
        route = self._route(self._alias_targets(model))
        timeouts = model.timeouts
        return Route(
            route.targets,
            route.attempts if model.retries is None else model.retries + 1,
            timeouts.total or route.deadline_seconds,
            timeouts.first_token,
        )

    def _alias_targets(self, model: ModelConfig) -> tuple[Target, ...]:
        """Choose a deployment by weight; the others and the fallbacks come after."""
        deployments = list(model.deployments)
        weights = [deployment.weight for deployment in deployments]
        # Load spreading needs no secrecy.
        first = random.choices(deployments, weights)[0]  # noqa: S311
        deployments.remove(first)
        targets = [_target(each.model) for each in (first, *deployments)]
        for fallback in model.fallbacks:
            if fallback in self._aliases:
                targets.extend(self._alias_targets(self._aliases[fallback]))
            else:
                targets.append(_target(fallback))
        return tuple(dict.fromkeys(targets))


def _target(name: str) -> Target:
    provider, _, model = name.partition("/")
    return Target(provider.lower(), model)
