"""A streamed answer, taken down while it passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llm_proxy.cache.entry import MAX_BODY_BYTES, Account, Headers
from llm_proxy.types import Chunk
from llm_proxy.wire import Passage

if TYPE_CHECKING:
    from llm_proxy.cache.lookup import Lookup


class Recording:
    """Takes down a streamed answer, which must be kept or closed in the end.

    Args:
        lookup: Where the answer goes.
    """

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._pieces: list[bytes] = []
        self._left = MAX_BODY_BYTES
        self._headers: Headers = ()

    def add(self, batch: Sequence[object]) -> None:
        """Take down pieces; of an answer that is too long for an entry, no more.

        Args:
            batch: Some pieces.
        """
        if self._left < 0:
            return
        for piece in batch:
            if isinstance(piece, Passage):
                data = piece.data
                self._headers = self._headers or piece.headers
            elif isinstance(piece, Chunk):
                data = piece.text.encode()
            else:
                continue
            self._pieces.append(data)
            self._left -= len(data)
        if self._left < 0:
            self._pieces.clear()
            # Nobody needs to wait for it any longer.
            self._lookup.close()

    async def keep(self, account: Account) -> None:
        """Keep the whole answer.

        Args:
            account: What is known of the call.
        """
        if self._left >= 0:
            await self._lookup.keep(account, b"".join(self._pieces), self._headers)

    def close(self, error: BaseException | None = None) -> None:
        """Keep nothing; does nothing to an answer that was kept.

        Args:
            error: Why the answer is not whole.
        """
        self._lookup.close(error)
