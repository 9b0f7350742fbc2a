"""What the scripts in ``lua/`` are told."""

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llm_proxy.limits.claim import Claim, Kind

if TYPE_CHECKING:
    from llm_proxy.storage.redis import Script

_FOLDER = Path(__file__).parent / "lua"
# The braces keep all keys on one node of a cluster.
_PREFIX = "{llm-proxy}:limits"
PROCESSES = f"{_PREFIX}:processes"
_AWAITED = f"{_PREFIX}:awaited"

_WINDOW_SECONDS = 60
_DAY_SECONDS = 86_400
# How long a counter of money outlives its latest call, by the length of its period.
_MONEY_SECONDS: Mapping[int, int] = {
    len("2026-11-21"): 2 * _DAY_SECONDS,
    len("2026-11"): 33 * _DAY_SECONDS,
    len("total"): 400 * _DAY_SECONDS,
}
# Until when Redis knows of a process that was not heard.
_PROCESS_SECONDS = _DAY_SECONDS
# By then, what was sent before a settlement has come or never will.
_SETTLED_SECONDS = 60
# Redis counts in 64 bits. Nobody has a limit of a billion dollars, and no call costs
# nine million: whoever says so must not make the sum of some calls too large.
_MAX_LIMIT = 2**60
_MAX_TRUTH = 2**53

_SETTLED: Collection[Kind] = ("tokens", "concurrent", "money")
_RENEWED: Collection[Kind] = ("concurrent", "money")


@dataclass(frozen=True, slots=True)
class Call:
    """What a script is given.

    Attributes:
        keys: ``KEYS``.
        arguments: ``ARGV``.
    """

    keys: Sequence[str]
    arguments: Sequence[str | bytes | int]


@dataclass(frozen=True, slots=True)
class Owner:
    """A process as Redis knows it.

    Attributes:
        name: Unique.
        lease_seconds: How long it and its leases live without a sign of it.
    """

    name: str
    lease_seconds: float


@dataclass(frozen=True, slots=True)
class Settlement:
    """What has become of a lease.

    Attributes:
        claims: What was set aside.
        tokens: What was used.
        nanos: What it has cost, in billionths of a dollar.
    """

    claims: Sequence[Claim]
    tokens: int
    nanos: int


def load(name: str) -> "Script":
    """Read a script.

    Args:
        name: Such as ``reserve``.

    Returns:
        The script.
    """
    # Brings SQLAlchemy with it.
    from llm_proxy.storage.redis import Script

    return Script((_FOLDER / f"{name}.lua").read_text(encoding="utf-8"))


def reservation(
    owner: Owner, lease: str, claims: Sequence[Claim], spent: Mapping[str, int]
) -> Call:
    """Say what a call needs.

    Args:
        owner: The process that makes it.
        lease: Names the reservation.
        claims: What it needs.
        spent: Where counters of money start, as far as somebody knows.

    Returns:
        What `reserve` is given, after its deadline.
    """
    arguments: list[str | int] = [
        owner.name,
        lease,
        str(owner.lease_seconds),
    ]
    for claim in claims:
        start = spent.get(claim.counter)
        arguments += (
            claim.kind,
            min(claim.limit, _MAX_LIMIT),
            claim.amount,
            _keep_seconds(claim, owner),
            "" if start is None else min(start, _MAX_LIMIT),
        )
    keys = [PROCESSES, _AWAITED, _settled_key(lease), *map(_counter_key, claims)]
    return Call(keys, arguments)


def settlements(batch: Mapping[str, Settlement]) -> Call:
    """Say what has become of leases.

    Args:
        batch: By the names of the leases.

    Returns:
        What `settle` is given.
    """
    keys: list[str] = []
    arguments: list[str | int] = [_SETTLED_SECONDS]
    for lease, settlement in batch.items():
        claims = [each for each in settlement.claims if each.kind in _SETTLED]
        truth = {"tokens": settlement.tokens, "money": settlement.nanos}
        keys += (_settled_key(lease), *map(_counter_key, claims))
        arguments += (lease, len(claims))
        for claim in claims:
            true = min(truth.get(claim.kind, 0), _MAX_TRUTH)
            arguments += (claim.kind, true)
    return Call(keys, arguments)


def renewal(
    owner: Owner,
    leases: Mapping[str, Sequence[Claim]],
    known: Collection[str | bytes] | None,
) -> Call:
    """Say that a process lives, and which of its leases are open.

    Args:
        owner: The process.
        leases: The claims of each lease, by its name.
        known: The other processes of which it knows; None if it has more leases to
            tell, and does not live before.

    Returns:
        What `renew` is given, after its deadline.
    """
    keys = [PROCESSES, _AWAITED]
    arguments: list[str | bytes | int] = [
        owner.name,
        str(owner.lease_seconds),
        _PROCESS_SECONDS,
        "" if known is None else len(known),
        *(known or ()),
    ]
    for lease, all_claims in leases.items():
        claims = [each for each in all_claims if each.kind in _RENEWED]
        keys += (_settled_key(lease), *map(_counter_key, claims))
        arguments += (lease, len(claims))
        for claim in claims:
            arguments += (claim.kind, claim.amount, _keep_seconds(claim, owner))
    return Call(keys, arguments)


def _keep_seconds(claim: Claim, owner: Owner) -> int:
    """Say how long a counter is kept that nobody uses."""
    if claim.kind == "money":
        return _MONEY_SECONDS[len(claim.period)]
    if claim.kind == "concurrent":
        return math.ceil(owner.lease_seconds) + 1
    return _WINDOW_SECONDS + 1


def _settled_key(lease: str) -> str:
    return f"{_PREFIX}:settled:{lease}"


def _counter_key(claim: Claim) -> str:
    # Names are other people's words, of any length and with any characters.
    name = claim.counter.encode(errors="surrogatepass")
    digest = hashlib.blake2b(name, digest_size=16).hexdigest()
    return f"{_PREFIX}:{claim.kind}:{claim.period}:{digest}"
