"""What models cost, and who sells them."""

from llm_proxy.pricing.catalogue import Offer, Price, PriceCatalogue, PricedModel
from llm_proxy.pricing.rates import FREE, Rates
from llm_proxy.pricing.tariff import Tariff

__all__ = ["FREE", "Offer", "Price", "PriceCatalogue", "PricedModel", "Rates", "Tariff"]
