"""What became of a call: who was asked, who was passed over, and why."""

from collections import deque
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
        attempts: How often an upstream was asked.
        note: Why the call took this route, where a policy has chosen it.
        answered_by: Who answers, once that is known.
        headers: What else callers are told of the call, as raw headers.
    """

    __slots__ = (
        "answered_by",
        "attempts",
        "headers",
        "id",
        "model",
        "note",
        "owner",
        "tried",
    )

    def __init__(self, id: str = "", owner: str = "", model: str = "") -> None:
        self.id = id
        self.owner = owner
        self.model = model
        self.note = ""
        self.tried: list[Tried] = []
        self.attempts = 0
        self.answered_by: Target | None = None
        self.headers: list[tuple[bytes, bytes]] = []

    def note_attempt(self, tried: Tried) -> None:
        """Note that an upstream was asked.

        Args:
            tried: Which, and what came of it.
        """
        self.tried.append(tried)
        self.attempts += 1

    def pass_over(self, target: Target, code: str, detail: str) -> None:
        """Note that a deployment was not asked.

        Args:
            target: The deployment.
            code: Why, as in `Tried`.
            detail: The same in words.
        """
        self.tried.append(Tried(target, "passed_over", code, detail))

    def broke_off(self, target: Target, error: APIError) -> None:
        """Note that an answer has died after it had begun.

        Args:
            target: Who gave it.
            error: How it died.
        """
        self.answered_by = None
        self._correct(target, Tried(target, "failed", error.code, error.message))

    def came_second(self, target: Target) -> None:
        """Note that an answer was put away because another one was there already.

        Args:
            target: Who gave it.
        """
        self._correct(target, Tried(target, "abandoned"))

    def _correct(self, target: Target, outcome: Tried) -> None:
        """Change what has come of the latest answer of a deployment."""
        for number, tried in reversed([*enumerate(self.tried)]):
            if tried.target == target and tried.outcome == "answered":
                self.tried[number] = replace(
                    outcome,
                    seconds=tried.seconds,
                    waited_seconds=tried.waited_seconds,
                )
                return


class Traces:
    """The latest traces of this process, for who asks what became of a call.

    Args:
        most: How many are kept.
    """

    def __init__(self, most: int = 1000) -> None:
        self._kept: deque[Trace] = deque(maxlen=most)

    def keep(self, trace: Trace) -> None:
        """Keep a trace in the place of the oldest.

        Args:
            trace: The trace; it may still grow.
        """
        self._kept.append(trace)

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
        # Callers may use an id again, and the latest call is what they ask for.
        for trace in reversed(self._kept):
            if (trace.owner, trace.id) == (owner, id):
                return trace
        raise NotFoundError("There is no such trace here, or no longer")
