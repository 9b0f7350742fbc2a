"""The figures of one deployment, from which its health is judged."""

from dataclasses import dataclass

from llm_proxy.errors import LLMAPIError

_SMOOTHING = 0.3
# What was measured longer ago says nothing about the present.
_LATENCY_SECONDS = 60.0
# The latest outcomes, of which so many must be known before a rate is one.
_OUTCOMES = 20
_LEAST_OUTCOMES = 10


@dataclass(slots=True)
class Vitals:
    """What is known of a deployment.

    Attributes:
        in_flight: Attempts under way.
        failures: In a row.
        until: Nobody is sent there before, in monotonic seconds; 0 for no such time.
        is_open: Whether it is left alone for its failures, and not because the
            upstream has asked for it.
        error: Why it is left alone.
    """

    in_flight: int = 0
    failures: int = 0
    until: float = 0.0
    is_open: bool = False
    error: LLMAPIError | None = None
    _latency: float | None = None
    _measured: float = 0.0
    # One bit per outcome, the latest lowest; a failure is a 1.
    _outcomes: int = 0
    _known: int = 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing would be lost without these figures."""
        return not (self.in_flight or self.failures or self.until)

    def latency(self, now: float) -> float | None:
        """Say how long the first content takes lately.

        Args:
            now: Monotonic seconds.

        Returns:
            Smoothed seconds; None if nobody has asked lately.
        """
        return None if now - self._measured > _LATENCY_SECONDS else self._latency

    def answered(self, seconds: float, now: float) -> None:
        """Note how long it took until content came.

        Args:
            seconds: So long.
            now: Monotonic seconds.
        """
        latency = self.latency(now)
        if latency is not None:
            seconds = latency + _SMOOTHING * (seconds - latency)
        self._latency = seconds
        self._measured = now

    def succeeded(self) -> None:
        """Note a success, which ends all reservations against the deployment."""
        self._note(0)
        self.failures = 0
        if self.is_open:
            self.is_open = False
            self.until = 0.0
            self._outcomes = self._known = 0

    def failed(self) -> None:
        """Note a failure."""
        self._note(1)
        self.failures += 1

    def is_failing(self, most_in_a_row: int) -> bool:
        """Say whether the deployment should be left alone.

        Args:
            most_in_a_row: So many failures in a row are enough.

        Returns:
            Whether it has as many, or fails half of the time.
        """
        return self.failures >= most_in_a_row or (
            self._known >= max(_LEAST_OUTCOMES, most_in_a_row)
            and 2 * self._outcomes.bit_count() >= self._known
        )

    def pause(self, until: float, error: LLMAPIError) -> None:
        """Leave the deployment alone because it has asked for it.

        Args:
            until: Monotonic seconds.
            error: In which it has.
        """
        if until > self.until:
            self.until = until
            self.error = error

    def open(self, until: float, error: LLMAPIError) -> None:
        """Leave the deployment alone because it fails.

        Args:
            until: Monotonic seconds.
            error: How it fails.
        """
        self.is_open = True
        self.until = max(self.until, until)
        self.error = error

    def let_another_try(self) -> None:
        """Let the next call find out what an abandoned one has not."""
        self.until = 0.0

    def _note(self, failed: int) -> None:
        self._outcomes = (self._outcomes << 1 | failed) & (1 << _OUTCOMES) - 1
        self._known = min(self._known + 1, _OUTCOMES)
