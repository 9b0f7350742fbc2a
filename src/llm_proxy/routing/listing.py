"""The models that callers are told of."""

from collections.abc import Iterable
from dataclasses import dataclass

from llm_proxy.config import ALIAS_PROVIDER
from llm_proxy.pricing import PriceCatalogue, PricedModel
from llm_proxy.routing.names import ModelNames
from llm_proxy.routing.route import Target


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

    @property
    def names(self) -> tuple[str, ...]:
        """What it is called, as in `Route`."""
        full_name = f"{self.provider}/{self.model}"
        is_alias = self.provider == ALIAS_PROVIDER
        return (self.model, full_name) if is_alias else (full_name,)


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model as the lists of models show it.

    Attributes:
        id: The name to ask for.
        owned_by: The provider, or `ALIAS_PROVIDER`.
        display_name: Its name for people.
        context_window: Tokens that it can read; None if nobody knows.
        created: When it came out, in Unix seconds; 0 if nobody knows.
    """

    id: str
    owned_by: str
    display_name: str
    context_window: int | None = None
    created: int = 0


def list_models(
    aliases: Iterable[str], names: ModelNames, prices: PriceCatalogue
) -> dict[str, ListedModel]:
    """List what callers may ask for.

    Args:
        aliases: The aliases of llm-proxy.yaml.
        names: Knows the providers that are set up.
        prices: Knows what they sell.

    Returns:
        The models by id; every id leads to the model's owner.
    """
    models = {alias: ListedModel(alias, ALIAS_PROVIDER, alias) for alias in aliases}
    for provider in names.providers:
        if provider.model is not None:
            target = Target(provider.name, provider.model)
            name = f"{provider.name}/{provider.model}"
            models.setdefault(name, describe(name, target, prices))
        for model in prices.models(provider.name):
            name = _shortest_name(Target(provider.name, model.name), names)
            models.setdefault(name, _listed(name, provider.name, model))
    return models


def describe(name: str, target: Target, prices: PriceCatalogue) -> ListedModel:
    """Describe a model that may be in no list.

    Args:
        name: What the caller asks for.
        target: Who serves it.
        prices: Knows what providers sell.

    Returns:
        The description.
    """
    model = prices.find(target.provider, target.model)
    if model is None:
        return ListedModel(name, target.provider, target.model)
    return _listed(name, target.provider, model)


def _listed(name: str, provider: str, model: PricedModel) -> ListedModel:
    return ListedModel(name, provider, model.display_name, model.context_window)


def _shortest_name(target: Target, names: ModelNames) -> str:
    """Name a model by itself where that leads to this very provider."""
    if "/" not in target.model and names.look_up(target.model) == target:
        return target.model
    return f"{target.provider}/{target.model}"
