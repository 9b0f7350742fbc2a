"""How a deployment is doing."""

from dataclasses import dataclass
from typing import Literal

from llm_proxy.errors import LLMAPIError

State = Literal["closed", "open", "half_open", "cooling_down"]


@dataclass(frozen=True, slots=True)
class Pause:
    """Why a deployment is not asked now.

    Attributes:
        seconds: Until it may be asked.
        error: What to tell who wanted to.
        by_advice: Whether the upstream itself has said when to come again.
    """

    seconds: float
    error: LLMAPIError
    by_advice: bool


@dataclass(frozen=True, slots=True)
class Condition:
    """How a deployment is doing, for people.

    Attributes:
        state: ``closed`` lets calls through, ``half_open`` one to try.
        seconds: Until it may be asked again.
        code: The error that keeps calls away; empty if none does.
        in_flight: Attempts under way.
        latency_seconds: To the first content, lately; None if not known.
        failures: In a row.
    """

    state: State
    seconds: float
    code: str
    in_flight: int
    latency_seconds: float | None
    failures: int
