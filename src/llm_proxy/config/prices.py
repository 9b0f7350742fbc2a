"""What models cost, in llm-proxy.yaml."""

from decimal import Decimal, InvalidOperation
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, model_validator

from llm_proxy.config.values import Section

# A number in the file is read as the shortest text that means it, and up to this many
# digits that text is the one that stands there.
_MAX_DIGITS = 15
_MAX_DOLLARS = 1_000_000


def _read_dollars(value: object) -> Decimal:
    try:
        dollars = Decimal(str(value))
    except InvalidOperation:
        raise ValueError("must be a number") from None
    if not dollars.is_finite() or not 0 <= dollars <= _MAX_DOLLARS:
        raise ValueError(f"must be from 0 to {_MAX_DOLLARS} dollars")
    if len(dollars.as_tuple().digits) > _MAX_DIGITS:
        raise ValueError(f"must have at most {_MAX_DIGITS} digits")
    return dollars


def _check_models(name: str) -> str:
    provider, _, model = name.partition("/")
    if not provider or not model or "*" in name[:-1]:
        raise ValueError("must be provider/model, where the model may end in '*'")
    return name


Dollars = Annotated[Decimal, BeforeValidator(_read_dollars)]
PricedModels = Annotated[str, AfterValidator(_check_models)]


class PriceConfig(Section):
    """What a model costs, in US dollars per million tokens; ``0`` alone is for nothing.

    Attributes:
        input: Of the prompt.
        output: Of the answer.
        cached_input: Of what is read from the provider's cache; None for `input`.
        cache_write: Of what is written to it; None for `input`.
        reasoning: Of thoughts; None for `output`.
    """

    input: Dollars
    output: Dollars
    cached_input: Dollars | None = None
    cache_write: Dollars | None = None
    reasoning: Dollars | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_zero(cls, value: object) -> object:
        is_zero = value == 0 and not isinstance(value, bool)
        return {"input": 0, "output": 0} if is_zero else value
