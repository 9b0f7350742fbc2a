"""The cache on the road of a call, and answers from it as their callers see them."""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic

from llm_proxy.cache import Cache, Entry, Lookup, Question
from llm_proxy.call import Call
from llm_proxy.delivery import F
from llm_proxy.guardrails import Verdict, redact
from llm_proxy.routing import Target
from llm_proxy.telemetry import get_logger
from llm_proxy.types import ChatRequest, FinishReason, Usage
from llm_proxy.wire import Inquiry, asked_texts

_log = get_logger(__name__)


class Caching:
    """Looks for answers that need not be asked for.

    Args:
        cache: Has them; None where nothing is cached.
    """

    def __init__(self, cache: Cache | None) -> None:
        self._cache = cache

    async def look_up(
        self,
        call: Call,
        asked: ChatRequest | Inquiry,
        verdict: Verdict,
        *,
        stream: bool = False,
    ) -> Lookup:
        """Look for the answer to a call.

        Args:
            call: Who asks whom.
            asked: What is asked, as it would be sent.
            verdict: What the guardrails say of it.
            stream: Whether the answer comes as events.

        Returns:
            What was found, to be entered at once.

        Raises:
            InvalidInputError: Another call has asked just that, and it is a mistake.
        """
        cache, surface = self._cache, call.surface
        if cache is None or surface is None or surface not in cache.surfaces:
            return Lookup("bypass")
        targets = [str(target) for target in call.route.targets]
        if isinstance(asked, Inquiry):
            fields = asked.asked.fields
            # The guardrails have looked at the latest turn alone, and not for this.
            has_pii = any(redact(text).kinds for text in asked_texts(fields))
            question = Question(
                surface, call.part, fields, targets, stream, asked.headers, has_pii
            )
        else:
            has_pii = bool(verdict.pii)
            question = Question(
                surface, call.part, asked, targets, stream, has_pii=has_pii
            )
        seconds = call.route.deadline_seconds
        tenant = call.principal.name
        return await cache.ask(tenant, question, call.cache_control, seconds)


def after_look(call: Call, lookup: Lookup) -> Call:
    """Go on with a call that the cache cannot answer.

    Args:
        call: The call.
        lookup: What the cache has said.

    Returns:
        The call, in the time that is left.
    """
    call.trace.headers = []
    if lookup.result == "bypass":
        return call
    call.trace.headers.append((b"x-llm-proxy-cache", b"miss"))
    route = call.route.after(lookup.waited_seconds)
    return replace(call, route=route, cache="miss")


@dataclass(frozen=True, slots=True)
class Replayed:
    """The account of a call that nobody had to be asked for.

    Attributes:
        target: Who has given the answer the first time.
        model: The model that said so.
        usage: What it took then.
        finish_reason: Why the answer ended.
    """

    target: Target
    model: str | None
    usage: Usage
    finish_reason: FinishReason | None


def replayed(call: Call, lookup: Lookup, entry: Entry) -> Replayed:
    """Account for a call that the cache answers; it costs nothing.

    Args:
        call: What is asked.
        lookup: What the cache says.
        entry: The answer.

    Returns:
        The account.
    """
    target = Target(entry.provider, entry.model)
    age = math.floor(entry.age_seconds(time.time()))
    use = b"semantic" if lookup.result == "semantic" else b"hit"
    call.trace.answered_by = target
    call.trace.headers = [
        *entry.headers,
        (b"x-llm-proxy-cache", use),
        (b"x-llm-proxy-cost", b"0"),
        (b"age", b"%d" % age),
    ]
    _log.info(
        "cache_hit",
        result=lookup.result,
        feature=call.feature,
        userId=call.principal.name,
        provider=target.provider,
        model=target.model,
        age_seconds=age,
    )
    return Replayed(target, entry.answered_model, entry.usage, entry.finish_reason)


class ReplayedAnswer(Generic[F]):
    """A streamed answer that is there already; used as `LiveAnswer` is.

    Args:
        pieces: All of it.
        exchange: Its account.
        verdict: What the guardrails said of the question.
        seconds: For how long it may be sent.

    Attributes:
        first: The pieces.
        deadline: As of a `LiveAnswer`.
    """

    def __init__(
        self, pieces: Sequence[F], exchange: Replayed, verdict: Verdict, seconds: float
    ) -> None:
        self.exchange = exchange
        self.verdict = verdict
        self.first = pieces
        self.deadline = asyncio.get_running_loop().time() + seconds
        self._is_over = False

    def __aiter__(self) -> "ReplayedAnswer[F]":
        return self

    async def __anext__(self) -> Sequence[F]:
        if self._is_over:
            raise StopAsyncIteration
        self._is_over = True
        return self.first

    async def aclose(self, error: BaseException | None = None) -> None:
        """Stop; there is nothing to be stopped."""
        del error
