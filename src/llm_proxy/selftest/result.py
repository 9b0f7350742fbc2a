"""What was tried, and what came of it."""

from dataclasses import dataclass
from typing import Literal

from llm_proxy.selftest.verdict import Case, Verdict

Mark = Literal["passed", "reserved", "failed"]


class NotTestableError(Exception):
    """The instance cannot be tested; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Result:
    """One thing that was tried.

    Attributes:
        name: What was tried.
        verdict: What came of it.
        seconds: How long it took.
        case: Where it stands among the faults; None for what is not one.
    """

    name: str
    verdict: Verdict
    seconds: float
    case: Case | None = None

    @property
    def mark(self) -> Mark:
        """The verdict in one word."""
        if self.verdict.complaints:
            return "failed"
        return "reserved" if self.verdict.reservation else "passed"

    @property
    def place(self) -> str:
        """What was tried and how, for people."""
        case = self.case
        if case is None:
            return self.name
        kind = "stream" if case.stream else "plain"
        return f"{self.name} {case.surface.name} {kind}, {case.way}"
