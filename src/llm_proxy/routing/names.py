"""From a model's name to who serves it."""

from functools import cached_property

from llm_proxy.pricing import PriceCatalogue
from llm_proxy.providers import ProviderFactory
from llm_proxy.providers.factory import ProviderStatus
from llm_proxy.providers.vendors import find_vendor
from llm_proxy.routing.route import Target

# Callers choose names, so what is kept of them has to be bounded.
_MAX_KEPT = 1024
_MAX_NAME = 200


class ModelNames:
    """Finds the deployment that a name stands for.

    Args:
        factory: Knows the providers and which of them are set up.
        prices: Knows who sells what.
        default_provider: Its default model goes before those of the others.
    """

    def __init__(
        self, factory: ProviderFactory, prices: PriceCatalogue, default_provider: str
    ) -> None:
        self._factory = factory
        self._prices = prices
        self._default_provider = default_provider.lower()
        self._found: dict[str, Target] = {}

    def find(self, name: str) -> Target | None:
        """Find who serves a model.

        Args:
            name: ``provider/model``, the default model of a provider that is set up, or
                a vendor's name of a model.

        Returns:
            The deployment; None if there is none, or only at providers without a key.
        """
        target = self._found.get(name)
        if target is None:
            target = self.look_up(name)
            if target is not None:
                if len(self._found) >= _MAX_KEPT:
                    del self._found[next(iter(self._found))]
                self._found[name] = target
        return target

    def look_up(self, name: str) -> Target | None:
        """Find who serves a model, and remember nothing.

        Args:
            name: See `find`.

        Returns:
            See `find`.
        """
        if not name.isprintable() or len(name) > _MAX_NAME:
            return None
        qualified, default = self._qualified(name), self._defaults.get(name)
        # `openrouter/auto` is OpenRouter's own name of a model, the provider included.
        if default and (qualified is None or qualified.provider == default.provider):
            return default
        return qualified or self._sold(name)

    @cached_property
    def providers(self) -> tuple[ProviderStatus, ...]:
        """The providers that are set up; the default one first, then by name."""
        return tuple(
            sorted(
                self._factory.status(),
                key=lambda status: (status.name != self._default_provider, status.name),
            )
        )

    def is_set_up(self, provider: str) -> bool:
        """Tell whether a provider has what it needs.

        Args:
            provider: Its name.

        Returns:
            True if calls can go there.
        """
        return provider in self._set_up

    def _qualified(self, name: str) -> Target | None:
        provider, _, model = name.partition("/")
        provider = provider.lower()
        return Target(provider, model) if model and provider in self._known else None

    def _sold(self, name: str) -> Target | None:
        vendor = find_vendor(name)
        if vendor is not None and vendor in self._set_up:
            return Target(vendor, name)
        for offer in self._prices.offers(name):
            if offer.provider in self._set_up:
                return Target(offer.provider, offer.model)
        return None

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self._factory.names)

    @cached_property
    def _set_up(self) -> frozenset[str]:
        return frozenset(status.name for status in self.providers)

    @cached_property
    def _defaults(self) -> dict[str, Target]:
        return {
            status.model: Target(status.name, status.model)
            for status in reversed(self.providers)
            if status.model is not None
        }
