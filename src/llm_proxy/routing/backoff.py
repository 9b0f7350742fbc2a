"""How long to wait before a deployment is asked once more."""

import random
from dataclasses import dataclass
from functools import cached_property

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    wait_combine,
    wait_exponential,
    wait_random,
)

from llm_proxy.errors import LLMAPIError

_LEAST_SECONDS = 0.1


@dataclass(frozen=True)
class Backoff:
    """How long to wait before the same request is sent again.

    Attributes:
        multiplier: Seconds of the first step of the exponential.
        min_seconds: The shortest wait.
        max_seconds: The longest wait, jitter aside.
        jitter_seconds: At most this much is added, at random.
        retry_after_max_seconds: The longest wait that an upstream may ask for.
    """

    multiplier: float = 1.0
    min_seconds: float = 4.0
    max_seconds: float = 10.0
    jitter_seconds: float = 1.0
    retry_after_max_seconds: float = 60.0

    def seconds(self, failures: int, error: LLMAPIError) -> float:
        """Say how long to wait.

        Args:
            failures: Attempts that have failed; 1 or more.
            error: How the last one did; an upstream's own advice goes before ours.

        Returns:
            Seconds.
        """
        if error.retry_after_seconds is not None:
            # An upstream whose clock is slow says "at once", which would be too soon.
            advice = max(error.retry_after_seconds, _LEAST_SECONDS * failures)
            return min(advice, self.retry_after_max_seconds)
        state = RetryCallState(AsyncRetrying(), None, (), {})
        state.attempt_number = failures
        return self._wait(state)

    def spread(self, seconds: float) -> float:
        """Make a wait a little longer, so that not all come again at one moment.

        Args:
            seconds: The wait.

        Returns:
            Seconds, with some at random.
        """
        # Load spreading needs no secrecy.
        return seconds + random.uniform(0, self.jitter_seconds)  # noqa: S311

    @cached_property
    def _wait(self) -> wait_combine:
        return wait_exponential(
            multiplier=self.multiplier, min=self.min_seconds, max=self.max_seconds
        ) + wait_random(0, self.jitter_seconds)
