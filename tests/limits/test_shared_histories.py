"""Random histories of several processes, against a model that fits on a page."""

import asyncio
from dataclasses import dataclass, field

import pytest
import redis as driver
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.limits.aging import let_pass

from llm_proxy.limits.claim import Claim, Kind, Standing
from llm_proxy.limits.shared import SharedCounters
from llm_proxy.storage.redis import Redis
from llm_proxy.types import Subject

pytestmark = pytest.mark.integration

LIMITS: dict[Kind, int] = {"requests": 6, "tokens": 50, "concurrent": 3, "money": 200}
START = 10
PROCESSES = 3
MINUTE = 60

amounts = st.integers(0, 40)
histories = st.lists(
    st.one_of(
        st.tuples(
            st.just("reserve"),
            st.integers(0, PROCESSES - 1),
            st.sets(st.sampled_from([*LIMITS]), min_size=1),
            amounts,
        ),
        st.tuples(st.just("settle"), st.integers(0), amounts, amounts),
        # Each step is longer than an example takes.
        st.tuples(st.just("age"), st.sampled_from([10, 20, 30, MINUTE])),
    ),
    min_size=10,
    max_size=40,
)


@dataclass
class Model:
    """What has happened, and what follows from it."""

    now: int = 0
    money: int = START
    # By lease: when, and how much.
    taken: dict[Kind, dict[str, list[int]]] = field(
        default_factory=lambda: {"requests": {}, "tokens": {}, "concurrent": {}}
    )
    # By process: when it was heard, and its open leases.
    heard: dict[int, int] = field(default_factory=dict)
    open: dict[str, tuple[int, list[Claim]]] = field(default_factory=dict)

    def used(self, kind: Kind) -> int:
        if kind == "money":
            return self.money
        recent = self.now - MINUTE
        return sum(how for when, how in self.taken[kind].values() if when > recent)

    def hear(self, process: int) -> None:
        if self.heard.get(process, -MINUTE) > self.now - MINUTE:
            return
        self.heard[process] = self.now
        for lease, (owner, claims) in self.open.items():
            if owner == process and "concurrent" in {each.kind for each in claims}:
                self.taken["concurrent"][lease] = [self.now, 1]

    def reserve(self, lease: str, process: int, claims: list[Claim]) -> list[bool]:
        self.hear(process)
        granted = [self.used(each.kind) + each.amount <= each.limit for each in claims]
        if all(granted):
            self.open[lease] = (process, claims)
            for claim in claims:
                if claim.kind == "money":
                    self.money += claim.amount
                else:
                    self.taken[claim.kind][lease] = [self.now, claim.amount]
        return granted

    def settle(self, lease: str, tokens: int, nanos: int) -> None:
        for claim in self.open.pop(lease)[1]:
            if claim.kind == "money":
                self.money += nanos - claim.amount
            elif claim.kind == "tokens":
                self.taken["tokens"][lease][1] = tokens
            elif claim.kind == "concurrent":
                del self.taken["concurrent"][lease]


class History:
    """Lets real processes and the model live through the same."""

    def __init__(self, url: str, operator: driver.Redis) -> None:
        self._model = Model()
        self._operator = operator
        self._redis = Redis(url, timeout_seconds=30)
        self._processes = [SharedCounters(self._redis) for _ in range(PROCESSES)]
        self._leases = 0

    async def reserve(self, process: int, kinds: set[Kind], amount: int) -> None:
        claims = [
            Claim(
                Subject("team", "red"),
                kind,
                LIMITS[kind],
                amount if kind in ("tokens", "money") else 1,
                "2026-11" if kind == "money" else "",
            )
            for kind in LIMITS
            if kind in kinds
        ]
        self._leases += 1
        lease = f"{self._leases}"
        granted = self._model.reserve(lease, process, claims)
        spent = {each.counter: START for each in claims}
        verdict = await self._processes[process].reserve(lease, claims, spent)
        assert verdict.standings == tuple(
            Standing(
                claim,
                max(0, claim.limit - self._model.used(claim.kind)),
                standing.reset_seconds,
                is_granted,
            )
            for claim, is_granted, standing in zip(
                claims, granted, verdict.standings, strict=True
            )
        )

    async def settle(self, which: int, tokens: int, nanos: int) -> None:
        if not self._model.open:
            return
        lease = [*self._model.open][which % len(self._model.open)]
        process, claims = self._model.open[lease]
        self._model.settle(lease, tokens, nanos)
        for _ in range(2):
            self._processes[process].settle(lease, claims, tokens, nanos)
        key = f"{{llm-proxy}}:limits:settled:{lease}"
        async with asyncio.timeout(30):
            while not self._operator.exists(key):  # noqa: ASYNC110 - as it is
                await asyncio.sleep(0)

    async def age(self, seconds: int) -> None:
        self._model.now += seconds
        let_pass(self._operator, seconds)

    async def aclose(self) -> None:
        for each in self._processes:
            await each.aclose()
        await self._redis.aclose()


@given(histories)
@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_every_history_ends_as_in_the_model(redis_url, steps):
    with driver.Redis.from_url(redis_url) as operator:
        operator.flushdb()
        history = History(redis_url, operator)
        try:
            for step, *values in steps:
                await getattr(history, step)(*values)
        finally:
            await history.aclose()
