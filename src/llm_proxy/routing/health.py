"""Which deployments are cooling down after failures."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from llm_proxy.errors import (
    LLMAPIError,
    LLMConnectionError,
    LLMCoolingDownError,
    LLMTimeoutError,
    LLMUnavailableError,
)
from llm_proxy.routing.route import Target

_COUNTED = (LLMConnectionError, LLMUnavailableError, LLMTimeoutError)
# Names of models come from callers, so what is kept per name has to be bounded.
_MAX_KEPT = 1024


@dataclass(slots=True)
class _Trouble:
    """Failures in a row, and until when nobody is sent there."""

    failures: int = 0
    until: float = 0.0


class Health:
    """A circuit breaker per deployment.

    After `failures` failures in a row a deployment is left alone for
    `cooldown_seconds`; then one request may try, and its outcome decides.

    Args:
        failures: Failures in a row that open the breaker; 0 turns it off.
        cooldown_seconds: How long it stays open.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        failures: int,
        cooldown_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures = failures
        self._cooldown_seconds = cooldown_seconds
        self._clock = clock
        self._troubles: dict[Target, _Trouble] = {}

    def admit(self, target: Target) -> None:
        """Let a request through, or refuse it.

        Args:
            target: Where it would go.

        Raises:
            LLMCoolingDownError: The deployment is being left alone.
        """
        trouble = self._troubles.get(target)
        if trouble is None or not trouble.until:
            return
        now = self._clock()
        if now < trouble.until:
            raise LLMCoolingDownError(
                provider=target.provider, retry_after_seconds=trouble.until - now
            )
        # Others wait for the outcome of this probe, or for it to be lost.
        trouble.until = now + self._cooldown_seconds

    def succeeded(self, target: Target) -> None:
        """Note that the deployment answered.

        Args:
            target: Who answered.
        """
        if self._troubles:
            self._troubles.pop(target, None)

    def failed(self, target: Target, error: LLMAPIError) -> None:
        """Note a failure; only those that say the deployment is down count.

        Args:
            target: Who failed.
            error: How.
        """
        if not self._failures or not isinstance(error, _COUNTED):
            return
        if target not in self._troubles and len(self._troubles) >= _MAX_KEPT:
            del self._troubles[next(iter(self._troubles))]
        trouble = self._troubles.setdefault(target, _Trouble())
        trouble.failures += 1
        if trouble.failures >= self._failures:
            trouble.until = self._clock() + self._cooldown_seconds
