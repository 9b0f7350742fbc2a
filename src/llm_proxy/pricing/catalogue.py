"""What the price catalogue knows of the models that providers sell."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

from llm_proxy.pricing.tariff import Tariff

if TYPE_CHECKING:
    from genai_prices.types import MatchLogic, ModelInfo, Provider, TieredPrices

# Where the catalogue has another name for a provider than we have.
_OUR_NAMES = {
    "aws": "bedrock",
    "google": "gemini",
    "moonshotai": "moonshot",
    "x-ai": "xai",
}
# What the catalogue prices under a provider and its API does not take. Google sells
# Claude elsewhere (Vertex AI), OpenAI's open weights are served by others, names at
# OpenRouter begin with the model's author, and no region of AWS is called "regional".
_NOT_SOLD = {
    "aws": re.compile(r"regional\."),
    "google": re.compile(r"claude-|anthropic/"),
    "openai": re.compile(r"gpt-oss-"),
    "openrouter": re.compile(r"[^/]*$|.*:batch$"),
}
# Their operators give models names of their own.
_UNLISTED = frozenset({"azure"})
# The beginnings of names, which the catalogue uses as ids of fine-tuned models.
_INCOMPLETE = re.compile(r"ft:|.*-$")
# What a model's name may end in where the catalogue knows only the family.
_DATE = re.compile(r"[-@]20\d\d-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])$")
_NOT_TEXT = re.compile(
    r"\b(audio|banana|image|live|ocr|omni|realtime|sonic|transcribe|tts|voice)\b"
)


@dataclass(frozen=True, slots=True)
class Offer:
    """A provider that sells a model.

    Attributes:
        provider: Its name.
        model: Its name of the model.
    """

    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in US dollars per million tokens.

    Attributes:
        input: Of the prompt; None if it is not priced by tokens.
        output: Of the answer.
    """

    input: Decimal | None
    output: Decimal | None


@dataclass(frozen=True, slots=True)
class PricedModel:
    """A model as its provider sells it.

    Attributes:
        name: The provider's name of it.
        display_name: Its name for people.
        context_window: Tokens that it can read; None if nobody knows.
        price: What it costs; None if nobody knows.
    """

    name: str
    display_name: str
    context_window: int | None
    price: Price | None = None


class PriceCatalogue:
    """The snapshot inside of ``genai-prices``; it is never fetched from the network.

    The package takes 0.3 s to load, so it is loaded by the first question.
    """

    def offers(self, name: str) -> tuple[Offer, ...]:
        """Find who sells exactly this model.

        Args:
            name: A provider's name of the model in any case, or what follows the last
                slash of one: ``gpt-4o`` finds ``openai/gpt-4o`` at OpenRouter.

        Returns:
            Those who use the very name, then the others; each in alphabetical order.
        """
        return self._offers.get(name.lower(), ())

    def models(self, provider: str) -> list[PricedModel]:
        """List what a provider sells for chats and embeddings.

        Args:
            provider: Its name.

        Returns:
            The models that are not deprecated; none if the provider is unknown.
        """
        if provider in _UNLISTED:
            return []
        return [
            _described(name, model)
            for vendor in self._vendors.get(provider, ())
            for model in vendor.models
            if _is_current(model) and (name := next(_names(vendor, model), None))
        ]

    def find(self, provider: str, name: str) -> PricedModel | None:
        """Describe one model of a provider.

        Args:
            provider: Its name.
            name: Its name of the model; dated names are found too.

        Returns:
            The description; None if the catalogue has none.
        """
        model = self._find(provider, name)
        return None if model is None else _described(name, model)

    def tariff(self, provider: str, name: str) -> Tariff | None:
        """Find what a model costs.

        Args:
            provider: See `find`.
            name: See `find`.

        Returns:
            Its prices; None if the catalogue has none.
        """
        model = self._find(provider, name)
        return None if model is None else Tariff(model)

    def seller_at(self, url: str) -> str | None:
        """Tell whose API is at an address.

        Args:
            url: The address.

        Returns:
            The provider's name; None if the catalogue does not know the address.
        """
        for provider, vendors in self._vendors.items():
            if any(re.match(vendor.api_pattern, url) for vendor in vendors):
                return provider
        return None

    def _find(self, provider: str, name: str) -> ModelInfo | None:
        # Google's API takes the name of a model with and without its collection.
        name = name.removeprefix("models/")
        for spelling in dict.fromkeys((name, _DATE.sub("", name))):
            for vendor in self._vendors.get(provider, ()):
                # The others are those whose models a vendor resells, as Azure does.
                if model := vendor.find_model(spelling, all_providers=self._all):
                    return model
        return None

    @cached_property
    def _all(self) -> list[Provider]:
        return [each for many in self._vendors.values() for each in many]

    @cached_property
    def _vendors(self) -> dict[str, list[Provider]]:
        from genai_prices.data import providers

        vendors = defaultdict(list)
        for vendor in providers:
            # `huggingface_novita` is Hugging Face's router, with Novita behind it.
            own_name, _, _ = vendor.id.partition("_")
            vendors[_OUR_NAMES.get(own_name, own_name)].append(vendor)
        return dict(vendors)

    @cached_property
    def _offers(self) -> dict[str, tuple[Offer, ...]]:
        offers: defaultdict[str, dict[str, Offer]] = defaultdict(dict)
        sold = list(self._sold())
        for offer in sold:
            offers[offer.model.lower()].setdefault(offer.provider, offer)
        for offer in sold:
            _, _, last_part = offer.model.lower().rpartition("/")
            offers[last_part].setdefault(offer.provider, offer)
        return {name: tuple(each.values()) for name, each in offers.items()}

    def _sold(self) -> Iterator[Offer]:
        by_id = {each.id: each for each in self._all}
        for provider, vendors in sorted(self._vendors.items()):
            for vendor in vendors:
                resold = vendor.fallback_model_providers or ()
                for source in (vendor, *map(by_id.__getitem__, resold)):
                    for model in source.models:
                        for name in _names(vendor, model):
                            yield Offer(provider, name)


def _names(vendor: Provider, model: ModelInfo) -> Iterator[str]:
    """List what the model may be asked for as; its id is not always one of them."""
    names = [model.id] if model.is_match(model.id) else []
    not_sold = _NOT_SOLD.get(vendor.id, _INCOMPLETE)
    for name in (*names, *_equals(model.match)):
        if not (_INCOMPLETE.match(name) or not_sold.match(name)):
            yield name


def _equals(clause: MatchLogic) -> Iterator[str]:
    if (name := getattr(clause, "equals", None)) is not None:
        yield name
    for each in getattr(clause, "or_", ()):
        yield from _equals(each)


def _is_current(model: ModelInfo) -> bool:
    prices = vars(model.get_prices(datetime.now(UTC)))
    return (
        not model.deprecated
        and prices.get("input_mtok") is not None
        and not _NOT_TEXT.search(model.id)
    )


def _described(name: str, model: ModelInfo) -> PricedModel:
    prices = vars(model.get_prices(datetime.now(UTC)))
    price = Price(_base(prices.get("input_mtok")), _base(prices.get("output_mtok")))
    return PricedModel(name, model.name or name, model.context_window, price)


def _base(price: Decimal | TieredPrices | None) -> Decimal | None:
    """Take the price of short prompts, where long ones cost more."""
    return price if price is None or isinstance(price, Decimal) else price.base
