"""What callers are shown of a stream that may die: all of it, or only the whole."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from llm_proxy.errors import APIError, LLMBadResponseError
from llm_proxy.providers import LLMProvider
from llm_proxy.routing import OpenStream, Route, Router, Source, Trace
from llm_proxy.types import Chunk
from llm_proxy.wire import Passage

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# Bytes or characters that are held back for one caller.
_MOST_HELD = 32 * 1024 * 1024
# What a chunk takes besides its texts.
_OVERHEAD = 128

Batches = AsyncGenerator[Sequence[T], None]


class Rest(Protocol[T_co]):
    """What follows the first batch; it must be iterated to its end or closed."""

    def __anext__(self) -> Awaitable[Sequence[T_co]]:
        """Wait for the next batch; may raise `APIError`."""
        ...

    def aclose(self) -> Awaitable[None]:
        """Stop."""
        ...


@dataclass(frozen=True, slots=True)
class Shown(Generic[T]):
    """A stream as its caller sees it.

    Attributes:
        first: The first batch; empty if all is held back.
        rest: What follows.
        source: Where it comes from; another one may take over.
    """

    first: Sequence[T]
    rest: Rest[T]
    source: Source


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """What is asked for a stream, and how its pieces are dealt with.

    Attributes:
        route: Where the call may go.
        ask: Asks one provider once.
        has_content: Tells content from what only announces it.
        trace: Takes down who was asked.
    """

    route: Route
    ask: Callable[[LLMProvider], Batches[T]]
    has_content: Callable[[T], bool]
    trace: Trace


async def show(router: Router, question: Question[T]) -> Shown[T]:
    """Open a stream and show it as it comes.

    Args:
        router: Finds who answers.
        question: What is asked.

    Returns:
        The stream.

    Raises:
        APIError: Nobody answered.
    """
    opened = await router.open(
        question.route, question.ask, question.has_content, question.trace
    )
    return Shown(opened.first, opened.rest, opened.source)


async def show_held(router: Router, question: Question[T]) -> Shown[T]:
    """Open a stream and show it as it comes or, by its route, once it is whole.

    Args:
        router: Finds who answers.
        question: What is asked.

    Returns:
        The stream.

    Raises:
        APIError: Nobody answered.
    """
    if question.route.stream_recovery != "buffer":
        return await show(router, question)
    opened = await router.open(
        question.route, question.ask, question.has_content, question.trace
    )
    return Shown((), Whole(router, question, opened), opened.source)


class Whole(Generic[T]):
    """Gives a stream in one batch, once it is whole; one that dies is asked for again.

    Args:
        router: Finds who answers instead.
        question: What is asked.
        opened: The first stream.
    """

    def __init__(
        self, router: Router, question: Question[T], opened: OpenStream[T]
    ) -> None:
        self._router = router
        self._question = question
        self._opened = opened
        self._is_over = False

    async def __anext__(self) -> Sequence[T]:
        """Wait for the whole answer, from whoever gives it."""
        if self._is_over:
            raise StopAsyncIteration
        while True:
            try:
                held = await self._collect()
            except APIError as error:
                question = self._question
                self._opened = await self._router.reopen(
                    self._opened.source, error, question.ask, question.has_content
                )
            else:
                self._is_over = True
                return held

    async def aclose(self) -> None:
        """Stop."""
        await self._opened.rest.aclose()

    async def _collect(self) -> list[T]:
        held = [*self._opened.first]
        size = sum(map(_size, held))
        async for batch in self._opened.rest:
            held += batch
            size += sum(map(_size, batch))
            if size > _MOST_HELD:
                await self._opened.rest.aclose()
                raise LLMBadResponseError(log_detail="too large to be held back")
        return held


def _size(piece: object) -> int:
    if isinstance(piece, Passage):
        return len(piece.data)
    if isinstance(piece, Chunk):
        texts = (piece.text, *(piece.delta or ()))
        return _OVERHEAD + sum(len(each) for each in texts if isinstance(each, str))
    return 0
