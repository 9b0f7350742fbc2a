"""Responses that the sandbox remembers."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_MOST_KEPT = 256


@dataclass(slots=True)
class StoredResponse:
    """A response that can be looked at again.

    Attributes:
        input: The items of the request alone.
        context: The items of the conversation before it.
        finished: The response as it is in the end.
        events: Writes the same as server-sent events.
        background: Whether it takes time: it is first queued, then in progress, and
            finished from the third look at it.
        looks: How often it has been looked at.
        cancelled: Whether it was cancelled before it was finished.
    """

    input: list[dict[str, Any]]
    context: list[dict[str, Any]]
    finished: dict[str, Any]
    events: Callable[[], list[bytes]]
    background: bool
    looks: int = 0
    cancelled: bool = False

    @property
    def conversation(self) -> list[dict[str, Any]]:
        """All items up to the end of this response."""
        return [*self.context, *self.input, *self.finished["output"]]

    def look(self) -> dict[str, Any]:
        """Say how it is now; in the background, looking is what makes time pass."""
        state = self._state()
        self.looks += 1
        if state is None:
            return self.finished
        nothing: dict[str, Any] = {"output": [], "usage": None, "completed_at": None}
        return self.finished | nothing | {"status": state, "incomplete_details": None}

    def cancel(self) -> None:
        """Cancel it, unless it is finished."""
        self.cancelled = self._state() is not None

    def _state(self) -> str | None:
        if self.cancelled:
            return "cancelled"
        if not self.background or self.looks > 1:
            return None
        return ("queued", "in_progress")[self.looks]


class ResponseStore:
    """The last 256 stored responses of one sandbox, by id."""

    def __init__(self) -> None:
        self._responses: OrderedDict[str, StoredResponse] = OrderedDict()

    def keep(self, response: StoredResponse) -> None:
        """Remember a response, and forget the oldest if there are too many.

        Args:
            response: The response.
        """
        self._responses.pop(response.finished["id"], None)
        self._responses[response.finished["id"]] = response
        if len(self._responses) > _MOST_KEPT:
            self._responses.popitem(last=False)

    def find(self, response_id: str) -> StoredResponse | None:
        """Find a response.

        Args:
            response_id: Its id.

        Returns:
            The response; None if there is none, or none any more.
        """
        return self._responses.get(response_id)

    def forget(self, response_id: str) -> None:
        """Forget a response.

        Args:
            response_id: Its id.
        """
        self._responses.pop(response_id, None)
