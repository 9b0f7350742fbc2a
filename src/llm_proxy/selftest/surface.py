"""What the self-test has to know of a surface."""

from collections.abc import Sequence
from typing import Any, Protocol

from llm_proxy.selftest.reading import Event, Reading, Told

QUESTION = "Which faults does a proxy survive? Count them all, one by one."


class Surface(Protocol):
    """One of the ways to ask the instance.

    Attributes:
        name: The path, for scorecards.
        path: The path, for requests.
        is_native: Whether errors are told by our own codes.
        unavailable: Statuses that stand for an upstream which says it is overloaded.
    """

    name: str
    path: str
    is_native: bool
    unavailable: frozenset[int]

    def headers(self, token: str) -> dict[str, str]:
        """Say who asks, where programs for this surface do."""
        ...

    def body(self, model: str, stream: bool) -> dict[str, Any]:
        """Put `QUESTION` to a model of the sandbox."""
        ...

    def read_error(self, value: object) -> Told | None:
        """Read an error; None if it is not in this surface's envelope."""
        ...

    def read_answer(self, value: object) -> Reading:
        """Read a plain answer."""
        ...

    def read_stream(self, events: Sequence[Event]) -> Reading:
        """Read a streamed answer."""
        ...
