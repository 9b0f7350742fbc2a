"""Spares callers the wait for a server that is away."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.telemetry import get_logger

_log = get_logger(__name__)

_FAILURES = 3
_FIRST_PAUSE_SECONDS = 1.0
_MAX_PAUSE_SECONDS = 5.0


class Breaker:
    """Refuses calls for a while after three that have failed in a row.

    Then one call at a time may try, while others are still refused: its success lets
    all through again, its failure makes the next pause longer. The log has one line
    when the server goes away and one when it is back.

    Args:
        name: What the log calls the server: its lines are ``<name>_away`` and
            ``<name>_back``.
        clock: Monotonic seconds.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._failures = 0
        self._pause_seconds = 0.0
        self._until = 0.0
        self._is_trying = False

    @property
    def is_refusing(self) -> bool:
        """Whether a call would be refused."""
        return self._is_open and (self._is_trying or self._clock() < self._until)

    @property
    def _is_open(self) -> bool:
        return self._pause_seconds > 0

    @contextmanager
    def attempt(self) -> Generator[None]:
        """Make a call, whose end decides about the next ones.

        `StorageUnavailableError` is a failure. Any other exception is an answer, and a
        call that is cancelled says nothing.

        Yields:
            Nothing.

        Raises:
            StorageUnavailableError: The server counts as away.
        """
        if self.is_refusing:
            raise StorageUnavailableError(log_detail=f"{self._name} is away")
        is_trial = self._is_trying = self._is_open
        try:
            yield
        except StorageUnavailableError as error:
            self._fail(is_trial, error.log_detail)
            raise
        except Exception:
            self._succeed()
            raise
        else:
            self._succeed()
        finally:
            if is_trial:
                self._is_trying = False

    def _succeed(self) -> None:
        if self._is_open:
            _log.info(f"{self._name}_back")
        self._failures = 0
        self._pause_seconds = 0.0

    def _fail(self, is_trial: bool, reason: str) -> None:
        self._failures += 1
        if is_trial and self._is_open:
            self._pause(min(self._pause_seconds * 2, _MAX_PAUSE_SECONDS))
        elif self._failures >= _FAILURES and not self._is_open:
            _log.warning(f"{self._name}_away", reason=reason)
            self._pause(_FIRST_PAUSE_SECONDS)

    def _pause(self, seconds: float) -> None:
        self._pause_seconds = seconds
        self._until = self._clock() + seconds
