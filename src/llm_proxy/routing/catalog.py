"""From the name that a caller uses to the route that its call takes."""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property, partial

from llm_proxy.config import ALIAS_PROVIDER, DEFAULT_PATH, ProxyConfig
from llm_proxy.errors import (
    ProviderNotConfiguredError,
    UnknownModelError,
    UnknownProviderError,
    UnsupportedModelError,
)
from llm_proxy.pricing import PriceCatalogue
from llm_proxy.providers import ProviderFactory
from llm_proxy.providers.vendors import find_vendor
from llm_proxy.routing.aliases import Aliases, Patience, Text
from llm_proxy.routing.listing import (
    CatalogEntry,
    ListedModel,
    describe,
    list_models,
)
from llm_proxy.routing.names import ModelNames
from llm_proxy.routing.route import Deployment, Route, Target
from llm_proxy.settings import ConfigurationError, Settings
from llm_proxy.types import Timeouts

_MAX_SHOWN = 100


class Catalog:
    """The models that can be asked for.

    Args:
        settings: Name the default provider, its fallback, and how hard to try.
        config: Its ``models`` are the aliases.
        factory: Knows the providers.

    Attributes:
        prices: What models cost, as far as vendors' lists say.
    """

    def __init__(
        self, settings: Settings, config: ProxyConfig, factory: ProviderFactory
    ) -> None:
        self._settings = settings
        self._models = config.models
        self._aliases = Aliases(config.models)
        self.prices = PriceCatalogue()
        self._names = ModelNames(factory, self.prices, settings.llm_provider)
        retries = settings.retry_attempts - 1
        self._patience = Patience(
            retries,
            settings.request_deadline,
            _timeouts(settings, settings.request_timeout),
        )
        self._v1_patience = Patience(
            retries,
            settings.v1_request_deadline,
            _timeouts(settings, settings.v1_request_timeout),
        )
        self.factory = factory

    def route(self, provider: str, model: str, prompt: Text = str) -> Route:
        """Find where a call goes.

        Args:
            provider: A provider's name in any case, or `ALIAS_PROVIDER`.
            model: The provider's name of a model, or an alias.
            prompt: Reads what is asked, for models chosen by complexity.

        Returns:
            The route; the fallback provider of the settings stands at its end.

        Raises:
            UnknownProviderError: Nobody has this name.
            UnsupportedModelError: There is no such alias.
            ProviderNotConfiguredError: The provider lacks its key.
        """
        if provider.lower() == ALIAS_PROVIDER:
            if model not in self._models:
                known = ", ".join(self._models) or "none"
                raise UnsupportedModelError(f"No such model alias. Known: {known}")
            return self._aliases.route(model, self._patience, prompt)
        # Made here so that a name that leads nowhere is the caller's error at once.
        self.factory.get_provider(provider, model)
        target = Target(provider.lower(), model)
        fallbacks = [
            (Deployment(fallback),)
            for fallback in self._settings_fallback()
            if fallback.provider != target.provider
        ]
        route = self._patience.route((Deployment(target),), *fallbacks)
        return replace(route, names=(str(target),))

    def resolve(self, name: str, prompt: Text = str) -> Route:
        """Find where a call goes whose caller says no more than a model's name.

        Args:
            name: An alias, with ``llm-proxy/`` before it or not; ``provider/model``;
                the default model of a provider; or a vendor's name of a model.
            prompt: As for `route`.

        Returns:
            The route. Who names a model wants this model: there are no fallbacks but
            those of an alias.

        Raises:
            UnknownModelError: The name leads nowhere.
            ProviderNotConfiguredError: It names a provider that lacks its key.
        """
        if (alias := self._aliases.find(name)) is not None:
            return self._aliases.route(alias, self._v1_patience, prompt)
        target = self._names.find(name)
        # Names of dots alone would be taken for places where they stand in a path.
        if target is None or not target.model.strip("."):
            raise self._unknown(name)
        # Made here so that a name that leads nowhere is the caller's error at once.
        self.factory.get_provider(target.provider, target.model)
        route = self._v1_patience.route((Deployment(target),))
        return replace(route, names=(name, str(target)))

    def default_route(self, prompt: Text = str) -> Route:
        """Find where calls go whose callers name no model.

        Args:
            prompt: As for `route`.

        Returns:
            The route of ``LLM_PROVIDER``, a provider or an alias.

        Raises:
            UnknownProviderError: Nobody has this name.
            ProviderNotConfiguredError: It lacks its key or a default model.
        """
        name = self._settings.llm_provider
        if name in self._models:
            return self._aliases.route(name, self._patience, prompt)
        return self.route(name, self.factory.default_model(name))

    def window_of(self, deployment: Deployment) -> int | None:
        """Say how many tokens a deployment reads.

        Args:
            deployment: The deployment.

        Returns:
            What the operator says, else what the price catalogue does; None if neither.
        """
        if deployment.context_window is not None:
            return deployment.context_window
        target = deployment.target
        model = self.prices.find(target.provider, target.model)
        return model.context_window if model is not None else None

    def entries(self) -> list[CatalogEntry]:
        """List what callers may ask for: aliases, and providers' default models.

        Returns:
            One entry per alias and per configured provider with a default model.
        """
        default = self._settings.llm_provider
        aliases = [
            CatalogEntry(ALIAS_PROVIDER, alias, alias == default)
            for alias in self._models
        ]
        if default not in self._models:
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
        found = self._listing.get(self._aliases.find(name) or name)
        if found is not None:
            return found
        try:
            target = self.resolve(name).targets[0]
        except ProviderNotConfiguredError:
            raise self._unknown(name) from None
        return describe(name, target, self.prices)

    def check(self) -> None:
        """Make sure that all that the operator has named leads somewhere.

        Raises:
            ConfigurationError: One line: where a name stands, and what it lacks.
        """
        file = self._settings.config_file or DEFAULT_PATH
        places: dict[str, Callable[[], Iterable[Target]]] = {
            "providers": self._default_targets,
            **{
                f"{file}: models.{alias}.{place}: {name}": partial(self._named, name)
                for alias, model in self._models.items()
                for place, name in model.places.items()
                if name not in self._models
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
        return list_models(self._models, self._names, self.prices)

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

    def _named(self, name: str) -> tuple[Target, ...]:
        return self._aliases.named(name, self._patience, str).targets

    def _settings_fallback(self) -> tuple[Target, ...]:
        name = self._settings.llm_fallback_provider
        if name is None:
            return ()
        return (Target(name.lower(), self.factory.default_model(name)),)


def _timeouts(settings: Settings, silence: float) -> Timeouts:
    idle = settings.stream_idle_timeout
    return Timeouts(settings.connect_timeout, silence, min(idle, silence))
