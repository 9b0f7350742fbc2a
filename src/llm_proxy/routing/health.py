"""How deployments are doing, and which of them are left alone for a while."""

import time
from collections.abc import Callable

from llm_proxy.errors import (
    LLMAPIError,
    LLMConnectionError,
    LLMCoolingDownError,
    LLMCredentialsError,
    LLMQuotaExhaustedError,
    LLMRateLimitedError,
    LLMStreamBrokenError,
    LLMTimeoutError,
    LLMUnavailableError,
)
from llm_proxy.routing.condition import Condition, Pause, State
from llm_proxy.routing.route import Target
from llm_proxy.routing.vitals import Vitals

# What says that a deployment is down, or cannot hold a stream.
_COUNTED = (
    LLMConnectionError,
    LLMStreamBrokenError,
    LLMTimeoutError,
    LLMUnavailableError,
)
_CREDENTIAL = (LLMCredentialsError, LLMQuotaExhaustedError)
# Timers may fire as much before their time.
_EARLY_SECONDS = 0.01
# Names of models come from callers, so what is kept per name has to be bounded.
_MAX_KEPT = 1024


class Health:
    """A circuit breaker and a cool-down per deployment and credential.

    After `failures` failures in a row, or if half of the latest outcomes are failures,
    a deployment is left alone for `cooldown_seconds`; then one request may try, and its
    outcome decides. An upstream that says when to come again is obeyed, and a
    credential that is refused is spared as long as a deployment that is down.

    Args:
        failures: Failures in a row that open the breaker; 0 turns it off, and lets
            refused credentials be asked again as well.
        cooldown_seconds: How long it stays open.
        clock: Monotonic seconds.

    Attributes:
        clock: The same, to compare moments with.
    """

    def __init__(
        self,
        failures: int,
        cooldown_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures = failures
        self._cooldown_seconds = cooldown_seconds
        self.clock = clock
        self._vitals: dict[Target, Vitals] = {}
        self._credentials: dict[str, tuple[float, LLMAPIError]] = {}

    def pause_of(self, target: Target) -> Pause | None:
        """Say whether a deployment has to be left alone.

        Args:
            target: The deployment.

        Returns:
            Why and how long; None if it may be asked.
        """
        if self._credentials and (pause := self._refused_credential(target.provider)):
            return pause
        vitals = self._vitals.get(target)
        if vitals is None or not vitals.until:
            return None
        left = vitals.until - self.clock()
        if left <= _EARLY_SECONDS or vitals.error is None:
            return None
        by_advice = not vitals.is_open
        return Pause(left, _refusal(vitals.error, target, left, by_advice), by_advice)

    def begin(self, target: Target, has_key: bool = True) -> "Attempt":
        """Note that a deployment is asked.

        Args:
            target: The deployment; `pause_of` has let it through.
            has_key: Whether the operator's key for its provider is at stake.

        Returns:
            The attempt; whoever begins it must end it.
        """
        vitals = self._vitals_of(target)
        now = self.clock()
        if vitals.is_open:
            # Others wait for the outcome of this probe, or for it to be lost.
            vitals.until = now + self._cooldown_seconds
        else:
            vitals.until = 0.0
        vitals.in_flight += 1
        return Attempt(self, target, vitals, now, has_key)

    def vitals_of(self, target: Target) -> Vitals:
        """Give the figures of a deployment, to compare it with others.

        Args:
            target: The deployment.

        Returns:
            Its figures; not kept if it was never asked.
        """
        return self._vitals.get(target) or Vitals()

    def condition(self, target: Target) -> Condition:
        """Describe a deployment to people.

        Args:
            target: The deployment.

        Returns:
            How it is doing now.
        """
        vitals, pause = self.vitals_of(target), self.pause_of(target)
        state: State = "half_open" if vitals.is_open else "closed"
        if pause is not None:
            state = "cooling_down" if pause.by_advice else "open"
        return Condition(
            state=state,
            seconds=pause.seconds if pause is not None else 0.0,
            code=pause.error.code if pause is not None else "",
            in_flight=vitals.in_flight,
            latency_seconds=vitals.latency(self.clock()),
            failures=vitals.failures,
        )

    def _vitals_of(self, target: Target) -> Vitals:
        vitals = self._vitals.get(target)
        if vitals is None:
            if len(self._vitals) >= _MAX_KEPT:
                kept = self._vitals
                # Asking for many names must not make us forget who is down.
                idle = (each for each, known in kept.items() if known.is_idle)
                del kept[next(idle, next(iter(kept)))]
            vitals = self._vitals[target] = Vitals()
        return vitals

    def _refused_credential(self, provider: str) -> Pause | None:
        until, error = self._credentials.get(provider, (0.0, None))
        left = until - self.clock()
        if error is None or left <= 0:
            return None
        again = type(error)(
            provider=provider, retry_after_seconds=left, log_detail="refused before"
        )
        return Pause(left, again, by_advice=False)

    def _succeeded(self, attempt: "Attempt") -> None:
        if self._credentials:
            self._credentials.pop(attempt.target.provider, None)
        attempt.vitals.succeeded()

    def _failed(self, attempt: "Attempt", error: LLMAPIError) -> None:
        vitals, now = attempt.vitals, self.clock()
        if self._failures and isinstance(error, _CREDENTIAL):
            self._pause_credential(attempt, error, now)
            return
        if attempt.is_probe and not isinstance(error, _COUNTED):
            # It is neither up nor down.
            vitals.let_another_try()
        if error.transient and error.retry_after_seconds:
            vitals.pause(now + error.retry_after_seconds, error)
        if not (self._failures and isinstance(error, _COUNTED)):
            return
        vitals.failed()
        # Those that were sent before it opened must not keep it open.
        if attempt.is_probe or (
            not vitals.is_open and vitals.is_failing(self._failures)
        ):
            vitals.open(now + self._cooldown_seconds, error)

    def _pause_credential(
        self, attempt: "Attempt", error: LLMAPIError, now: float
    ) -> None:
        until = now + self._cooldown_seconds
        if error.upstream_status == 403 or not attempt.has_key:
            # A key may be good, but not for this model.
            attempt.vitals.open(until, error)
        else:
            self._credentials[attempt.target.provider] = until, error


class Attempt:
    """One attempt at a deployment; ended once, whatever becomes of it.

    Args:
        health: Hears of the outcome.
        target: The deployment.
        vitals: Its figures.
        started: When it was asked, on the health's clock.
        has_key: As for `Health.begin`.

    Attributes:
        is_probe: Whether the breaker's next state depends on it.
    """

    __slots__ = (
        "_has_ended",
        "_health",
        "_started",
        "has_key",
        "is_probe",
        "target",
        "vitals",
    )

    def __init__(
        self,
        health: Health,
        target: Target,
        vitals: Vitals,
        started: float,
        has_key: bool,
    ) -> None:
        self.target = target
        self.vitals = vitals
        self.has_key = has_key
        self.is_probe = vitals.is_open
        self._health = health
        self._started = started
        self._has_ended = False

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return self._health.clock() - self._started

    def answering(self) -> None:
        """Note that content has begun to come, by which deployments are compared."""
        now = self._health.clock()
        self.vitals.answered(now - self._started, now)
        if self.is_probe:
            # A long stream must not keep others waiting; if it dies, it opens again.
            self._health._succeeded(self)

    def end(self, error: BaseException | None = None) -> None:
        """Note the outcome; only the first one counts.

        Args:
            error: What went wrong; None if the deployment did what it was asked.
                Anything but an `LLMAPIError` says nothing about the deployment.
        """
        if self._has_ended:
            return
        self._has_ended = True
        self.vitals.in_flight -= 1
        if error is None:
            self._health._succeeded(self)
        elif isinstance(error, LLMAPIError):
            self._health._failed(self, error)
        elif self.is_probe:
            self.vitals.let_another_try()


def _refusal(
    error: LLMAPIError, target: Target, seconds: float, by_advice: bool
) -> LLMAPIError:
    kind: type[LLMAPIError] = LLMCoolingDownError
    if by_advice and isinstance(error, LLMRateLimitedError):
        kind = LLMRateLimitedError
    elif isinstance(error, _CREDENTIAL):
        kind = type(error)
    return kind(
        provider=target.provider,
        retry_after_seconds=seconds,
        log_detail=f"since {error.code}",
    )
