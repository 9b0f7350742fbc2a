"""What became of a call: who was asked, who was passed over, and why."""

from dataclasses import dataclass, replace
from typing import Literal

from llm_proxy.errors import APIError, NotFoundError
from llm_proxy.routing.route import Target

Outcome = Literal["answered", "failed", "passed_over", "abandoned"]


@dataclass(frozen=True, slots=True)
class Tried:
    """One deployment's part in a call.

    Attributes:
        target: The deployment.
        outcome: ``abandoned`` is an attempt whose answer nobody waited for.
        code: The error, by its code; empty if there is none.
        detail: The same in words, which callers may read.
        seconds: How long the attempt took, to the first content of a stream.
        waited_seconds: How long we waited before it.
    """

    target: Target
    outcome: Outcome
    code: str = ""
    detail: str = ""
    seconds: float = 0.0
    waited_seconds: float = 0.0


class Trace:
    """The way of one call through the deployments.

    Args:
        id: Callers are told it as ``x-llm-proxy-trace``.
        owner: Whose call it is.
        model: What was asked for.

    Attributes:
        tried: Every deployment's part, in order.
        note: Why the call took this route, where a policy has chosen it.
        answered_by: Who answers, once that is known.
    """

    __slots__ = ("answered_by", "id", "model", "note", "owner", "tried")

    def __init__(self, id: str = "", owner: str = "", model: str = "") -> None:
        self.id = id
        self.owner = owner
        self.model = model
        self.note = ""
        self.tried: list[Tried] = []
        self.answered_by: Target | None = None

    @property
    def attempts(self) -> int:
        """How often an upstream was asked."""
        return sum(each.outcome != "passed_over" for each in self.tried)

    def broke_off(self, target: Target, error: APIError) -> None:
        """Note that an answer has died after it had begun.

        Args:
            target: Who gave it.
            error: How it died.
        """
        for number, tried in reversed([*enumerate(self.tried)]):
            if tried.target == target and tried.outcome == "answered":
                self.tried[number] = replace(
                    tried, outcome="failed", code=error.code, detail=error.message
                )
                return


class Traces:
    """The latest traces of this process, for who asks what became of a call.

    Args:
        most: How many are kept.
    """

    def __init__(self, most: int = 1000) -> None:
        self._most = most
        self._kept: dict[tuple[str, str], Trace] = {}

    def keep(self, trace: Trace) -> None:
        """Keep a trace in the place of the oldest.

        Args:
            trace: The trace; it may still grow.
        """
        key = trace.owner, trace.id
        # Callers may use an id again, and the latest call is what they ask for.
        self._kept.pop(key, None)
        if len(self._kept) >= self._most:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = trace

    def get(self, owner: str, id: str) -> Trace:
        """Find a trace.

        Args:
            owner: Who asks; nobody finds what is not theirs.
            id: The trace's id.

        Returns:
            The trace.

        Raises:
            NotFoundError: There is none, or none any more.
        """
        trace = self._kept.get((owner, id))
        if trace is None:
            raise NotFoundError("There is no such trace here, or no longer")
        return trace
