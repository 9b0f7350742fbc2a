"""What the tests of counters share: claims, and counters that fail or forget."""

from dataclasses import dataclass, field

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.limits import LocalCounters
from llm_proxy.limits.claim import Claim
from llm_proxy.types import Subject

TEAM = Subject("team", "red", "acme")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def requests(limit: int, subject: Subject = TEAM) -> Claim:
    return Claim(subject, "requests", limit, 1)


def tokens(limit: int, amount: int, subject: Subject = TEAM) -> Claim:
    return Claim(subject, "tokens", limit, amount)


def concurrent(limit: int, subject: Subject = TEAM) -> Claim:
    return Claim(subject, "concurrent", limit, 1)


def money(limit: int, amount: int, period: str = "total", **fields: object) -> Claim:
    return Claim(TEAM, "money", limit, amount, period, **fields)


@dataclass
class Fickle:
    """Counters that a test can take away, as Redis goes away.

    Attributes:
        is_down: Whether they are away.
        asked: How often they were asked.
        settled: The leases that were settled here.
    """

    is_down: bool = False
    asked: int = 0
    settled: list[str] = field(default_factory=list)
    inner: LocalCounters = field(default_factory=LocalCounters)

    async def reserve(self, lease, claims, spent):
        self.asked += 1
        if self.is_down:
            raise StorageUnavailableError(log_detail="taken away")
        return await self.inner.reserve(lease, claims, spent)

    def settle(self, lease, claims, tokens, nanos):
        self.settled.append(lease)
        self.inner.settle(lease, claims, tokens, nanos)
