"""An upstream that gives one recorded answer and remembers what it was asked."""

from collections.abc import AsyncIterator

import httpx
from tests.contract.exchanges import Recording


class RecordedUpstream:
    """Answers every request alike.

    Args:
        answer: What it says.
        piece: How many bytes each read brings; None brings all at once.

    Attributes:
        asked: The requests that have come.
    """

    def __init__(self, answer: Recording, piece: int | None = None) -> None:
        self.asked: list[httpx.Request] = []
        self._answer = answer
        self._piece = piece or max(len(answer.body), 1)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        headers = self._answer.head.headers
        body = _Pieces(self._answer.body, self._piece)
        return httpx.Response(self._answer.status, headers=headers, stream=body)


class _Pieces(httpx.AsyncByteStream):
    def __init__(self, body: bytes, size: int) -> None:
        self._body = body
        self._size = size

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), self._size):
            yield self._body[start : start + self._size]
