"""Responses that callers have asked us to keep, as OpenAI's Responses API does."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llm_proxy.errors import NotFoundError

_MAX_KEPT = 10_000
_MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response, and the conversation that led to it.

    Attributes:
        response: The response object.
        input: The items that were said to the model, without earlier turns.
        provider: The provider that keeps the response too; empty if only we do.
        model: The provider's name of the model.
        parent: The response before it in the conversation.
        size: Bytes of its JSON and of what it refers to.
    """

    response: dict[str, Any]
    input: tuple[dict[str, Any], ...]
    provider: str = ""
    model: str = ""
    parent: "StoredResponse | None" = None
    size: int = 0

    @property
    def id(self) -> str:
        """The response's id."""
        return str(self.response["id"])

    def conversation(self) -> list[dict[str, Any]]:
        """List the items of all turns up to this response.

        Returns:
            Input and output items, oldest first.
        """
        turns: list[Sequence[dict[str, Any]]] = []
        turn: StoredResponse | None = self
        while turn is not None:
            turns.append([*turn.input, *turn.response.get("output", ())])
            turn = turn.parent
        return [item for items in reversed(turns) for item in items]


class ResponseStore:
    """Keeps responses in memory, the latest ones of all callers together.

    Args:
        max_bytes: JSON bytes to keep; the responses that were not used for longest go
            first.
    """

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[tuple[str, str], StoredResponse] = OrderedDict()

    def put(self, owner: str, stored: StoredResponse) -> None:
        """Keep a response; one with the same id is replaced.

        Args:
            owner: Whose it is; nobody else finds it.
            stored: The response.
        """
        self._drop((owner, stored.id))
        self._kept[owner, stored.id] = stored
        self._bytes += stored.size
        while self._bytes > self._max_bytes or len(self._kept) > _MAX_KEPT:
            self._drop(next(iter(self._kept)))

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
        stored = self._kept.get((owner, response_id))
        if stored is None:
            raise NotFoundError("No response with this id is kept for you")
        self._kept.move_to_end((owner, response_id))
        return stored

    def delete(self, owner: str, response_id: str) -> None:
        """Forget a response.

        Args:
            owner: Who asks.
            response_id: Its id.
        """
        self._drop((owner, response_id))

    def _drop(self, key: tuple[str, str]) -> None:
        stored = self._kept.pop(key, None)
        if stored is not None:
            self._bytes -= stored.size
