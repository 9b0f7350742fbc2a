"""One attempt, as it stands in the ledger."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from secrets import token_hex
from typing import Literal, NamedTuple

from llm_proxy.types import Usage

# What costs are counted in, in US dollars.
NANO_DOLLAR = Decimal("1e-9")

Status = Literal["answered", "failed", "broken", "abandoned"]
CostSource = Literal["provider", "configured", "catalogue", "unknown", "none"]
CacheUse = Literal["", "miss", "off"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What an attempt has cost.

    Attributes:
        nanos: Billionths of a US dollar.
        source: Who says so: the ``provider``, the ``configured`` prices or the
            ``catalogue``; ``unknown`` if nobody does, and ``none`` if there is nothing
            to pay.
        price: The prices behind it as JSON, in US dollars per million tokens by kind of
            token; empty if there are none, or the provider has done the sum.
    """

    nanos: int
    source: CostSource
    price: str = ""


class Entry(NamedTuple):
    """One attempt that has reached an upstream.

    A named tuple, because every call makes one and a tuple of so many fields costs a
    fifth of a frozen dataclass.

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
        organisation: To which the principal belongs; may be empty, as the next two.
        team: The principal's team.
        owner: The person behind the principal.
        user_id: Whom the principal asks for, by its own word.
        cache: ``miss`` if the answer was looked for in the cache, ``off`` if the call
            was kept out of it; empty where there is none.
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
    organisation: str = ""
    team: str = ""
    owner: str = ""
    user_id: str = ""
    cache: CacheUse = ""


def entry_ids() -> Iterator[str]:
    """Make ids for entries, of which no other process makes any.

    They grow, so that databases add rows at one end of their index.

    Returns:
        Ids without end, of at most 36 letters and digits each.
    """
    process = token_hex(12)
    return (f"{process}{number:012x}" for number in count())
