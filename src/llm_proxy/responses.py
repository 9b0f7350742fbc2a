"""Responses that callers have asked us to keep, as OpenAI's Responses API does."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import orjson

from llm_proxy.errors import NotFoundError

# What one owner may fill, so that nobody pushes out what is kept for others.
_SHARE = 4


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response, and what was said to the model before it.

    Attributes:
        response: The response object.
        input: The items that were said to the model, without earlier turns.
        provider: The provider that keeps the response too; empty if only we do.
        model: The provider's name of the model.
        parent: The id of the response before it in the conversation; may be empty.
    """

    response: dict[str, Any]
    input: tuple[dict[str, Any], ...]
    provider: str = ""
    model: str = ""
    parent: str = ""

    @property
    def id(self) -> str:
        """The response's id."""
        return str(self.response["id"])


@dataclass(frozen=True, slots=True)
class _Packed:
    """A stored response as JSON: as objects it would take five times the memory."""

    json: bytes
    provider: str
    model: str
    parent: str

    @classmethod
    def of(cls, stored: StoredResponse) -> Self:
        # A copy, because what orjson returns keeps its whole buffer: 8 KiB or more.
        packed = bytes(memoryview(orjson.dumps((stored.response, stored.input))))
        return cls(packed, stored.provider, stored.model, stored.parent)

    def unpack(self) -> StoredResponse:
        response, items = orjson.loads(self.json)
        return StoredResponse(
            response, tuple(items), self.provider, self.model, self.parent
        )


class _Shelf:
    """What is kept for one owner, the longest unused first."""

    def __init__(self) -> None:
        self.kept: OrderedDict[str, _Packed] = OrderedDict()
        self.bytes = 0

    def drop(self, response_id: str) -> int:
        packed = self.kept.pop(response_id, None)
        size = len(packed.json) if packed else 0
        self.bytes -= size
        return size


class ResponseStore:
    """Keeps responses in memory: of each owner, and of all, the latest ones.

    Args:
        max_bytes: JSON bytes to keep; one owner gets a quarter of them.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._shelves: OrderedDict[str, _Shelf] = OrderedDict()

    def put(self, owner: str, stored: StoredResponse) -> None:
        """Keep a response; one with the same id is replaced.

        Args:
            owner: Whose it is; nobody else finds it.
            stored: The response.
        """
        shelf = self._shelves.setdefault(owner, _Shelf())
        self._shelves.move_to_end(owner)
        self._bytes -= shelf.drop(stored.id)
        packed = shelf.kept[stored.id] = _Packed.of(stored)
        shelf.bytes += len(packed.json)
        self._bytes += len(packed.json)
        while shelf.bytes > self._max_bytes // _SHARE:
            self._bytes -= shelf.drop(next(iter(shelf.kept)))
        while self._bytes > self._max_bytes:
            self._drop_oldest()

    def get(self, owner: str, response_id: str) -> StoredResponse:
        """Find a response.

        Args:
            owner: Who asks.
            response_id: Its id.

        Returns:
            The response.

        Raises:
            NotFoundError: There is none, or it is somebody else's.
        """
        shelf = self._shelves.get(owner)
        packed = shelf.kept.get(response_id) if shelf else None
        if shelf is None or packed is None:
            raise NotFoundError("No response with this id is kept for you")
        shelf.kept.move_to_end(response_id)
        return packed.unpack()

    def conversation(self, owner: str, response_id: str) -> list[dict[str, Any]]:
        """List the items of all turns up to a response.

        Args:
            owner: Who asks.
            response_id: The last turn.

        Returns:
            Input and output items, oldest first.

        Raises:
            NotFoundError: Not all of its turns are kept.
        """
        turns: list[Sequence[dict[str, Any]]] = []
        while response_id:
            turn = self.get(owner, response_id)
            turns.append([*turn.input, *turn.response.get("output", ())])
            response_id = turn.parent
        return [item for items in reversed(turns) for item in items]

    def delete(self, owner: str, response_id: str) -> None:
        """Forget a response.

        Args:
            owner: Who asks.
            response_id: Its id.
        """
        shelf = self._shelves.get(owner)
        if shelf is not None:
            self._bytes -= shelf.drop(response_id)

    def _drop_oldest(self) -> None:
        owner, shelf = next(iter(self._shelves.items()))
        if shelf.kept:
            self._bytes -= shelf.drop(next(iter(shelf.kept)))
        else:
            del self._shelves[owner]
