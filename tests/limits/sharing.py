"""What the tests of shared counters have in common: claims, and how they are made."""

import asyncio
import itertools

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.limits.claim import Claim, Verdict
from llm_proxy.types import Subject

KEY = Subject("key", "k1")

leases = map("lease-{}".format, itertools.count())


def requests(limit: int, subject: Subject = KEY) -> Claim:
    return Claim(subject, "requests", limit, 1)


def tokens(limit: int, amount: int) -> Claim:
    return Claim(KEY, "tokens", limit, amount)


def place(limit: int) -> Claim:
    return Claim(KEY, "concurrent", limit, 1)


def money(limit: int, amount: int, period: str = "2026-11-21") -> Claim:
    return Claim(KEY, "money", limit, amount, period)


async def reserve(counters, *claims: Claim, spent: int = 0, lease: str = "") -> Verdict:
    starts = {each.counter: spent for each in claims if each.kind == "money"}
    return await counters.reserve(lease or next(leases), claims, starts)


async def left(counters, *claims: Claim, **options) -> list[int]:
    verdict = await reserve(counters, *claims, **options)
    assert all(each.granted for each in verdict.standings)
    return [each.remaining for each in verdict.standings]


async def is_granted(counters, *claims: Claim, **options) -> bool:
    verdict = await reserve(counters, *claims, **options)
    return all(each.granted for each in verdict.standings)


async def until(condition) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.02)


async def until_left(counters, claim: Claim, remaining: int) -> None:
    """Waits until so much is left before a call takes what it needs."""

    async def is_left() -> bool:
        # Asks for more than there can be, so that nothing is taken.
        asked = Claim(claim.subject, claim.kind, claim.limit, 10**9, claim.period)
        try:
            (standing,) = (await reserve(counters, asked)).standings
        except StorageUnavailableError:
            return False
        return standing.remaining == remaining

    await until(is_left)
