"""How limits stand, in the headers that OpenAI's API has for that.

Source: https://platform.openai.com/docs/guides/rate-limits, "Rate limits in headers".
"""

import math
from collections.abc import Iterator, Mapping, Sequence

from llm_proxy.limits.claim import Kind, Standing
from llm_proxy.limits.reservation import Reservation, used_share

_NAMES: Mapping[Kind, tuple[bytes, bytes, bytes]] = {
    kind: (
        b"x-ratelimit-limit-%b" % kind.encode(),
        b"x-ratelimit-remaining-%b" % kind.encode(),
        b"x-ratelimit-reset-%b" % kind.encode(),
    )
    for kind in ("requests", "tokens")
}


def rate_headers(standings: Sequence[Standing]) -> Iterator[tuple[bytes, bytes]]:
    """Say how a call's limits of requests and of tokens stand.

    Args:
        standings: Of all its limits. Of several for the same, callers are told of the
            one that they meet first.

    Yields:
        Raw headers.
    """
    for kind, (limit, remaining, reset) in _NAMES.items():
        of_kind = [standing for standing in standings if standing.claim.kind == kind]
        if of_kind:
            first = min(of_kind, key=lambda standing: standing.remaining)
            yield limit, b"%d" % first.claim.limit
            yield remaining, b"%d" % first.remaining
            yield reset, b"%ds" % math.ceil(first.reset_seconds)


def reservation_headers(reservation: Reservation) -> Iterator[tuple[bytes, bytes]]:
    """Say what is left after a reservation, and which budgets run low.

    Args:
        reservation: What a call has taken from its limits.

    Yields:
        Raw headers.
    """
    yield from rate_headers(reservation.standings)
    for standing in reservation.warnings:
        claim = standing.claim
        told = f"{claim.subject.kind} {claim.period} {used_share(standing):.0%}"
        yield b"x-llm-proxy-budget-warning", told.encode("ascii")
