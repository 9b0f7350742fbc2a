"""One attempt, as it stands in the ledger."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from llm_proxy.types import Usage

# What costs are counted in, in US dollars.
NANO_DOLLAR = Decimal("1e-9")

Status = Literal["answered", "failed", "broken", "abandoned"]
CostSource = Literal["provider", "configured", "catalogue", "unknown", "none"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What an attempt has cost.

    Attributes:
        nanos: Billionths of a US dollar.
        source: Who says so: the ``provider``, the ``configured`` prices or the
            ``catalogue``; ``unknown`` if nobody does, and ``none`` if there is nothing
            to pay.
    """

    nanos: int
    source: CostSource


@dataclass(frozen=True, slots=True)
class Entry:
    """One attempt that has reached an upstream.

    Attributes:
        id: Unique for ever; writing an entry again changes nothing.
        at_ms: When the attempt ended, in milliseconds since 1970.
        request_id: The request that it was made for.
        attempt: Its number within the request, from 1.
        principal: Who asked.
        project: The name under which calls are accounted for.
        feature: Which part of the product was used.
        asked_model: The model that was asked for.
        provider: Who was asked.
        model: The provider's name of the model.
        answered_model: The model that the upstream says has answered, if it does.
        usage: Tokens, and where their numbers come from.
        cost: What they cost.
        status: ``broken`` is an answer that has begun and has no end, ``abandoned`` one
            that nobody has waited for.
        code: Our code of the error; empty without one.
        seconds: How long the attempt took.
        first_token_seconds: How long its first content took, if there was any.
    """

    id: str
    at_ms: int
    request_id: str
    attempt: int
    principal: str
    project: str
    feature: str
    asked_model: str
    provider: str
    model: str
    answered_model: str | None
    usage: Usage
    cost: Cost
    status: Status
    code: str
    seconds: float
    first_token_seconds: float | None
