"""How the service stops: no new work, and an end to what is still running."""

import asyncio
from types import TracebackType
from typing import Self, cast

from llm_proxy.errors import OverloadedError

# By then a load balancer has noticed, or the next process has started.
_RETRY_AFTER_SECONDS = 1.0


class Drain:
    """Knows whether the service is stopping, and what has to end before it may.

    Attributes:
        is_draining: Whether new work is refused.
        running: The work that is under way.
    """

    def __init__(self) -> None:
        self.is_draining = False
        self.running: set[Work] = set()
        self._is_cut = False

    def begin(self) -> None:
        """Refuse new work from here on; safe inside a signal handler."""
        self.is_draining = True

    def refusal(self) -> OverloadedError:
        """Write the error of work that is refused or cut.

        Returns:
            An error to raise, which tells callers when to come back.
        """
        return OverloadedError(
            "The service is shutting down", retry_after_seconds=_RETRY_AFTER_SECONDS
        )

    def check(self) -> None:
        """Refuse new work while the service stops.

        Raises:
            OverloadedError: It does.
        """
        if self.is_draining:
            raise self.refusal()

    def enter(self, work: "Work") -> None:
        """Note that some work has begun.

        Args:
            work: The work; it is cut at once if all other work has been.
        """
        self.running.add(work)
        if self._is_cut:
            work.end(self.refusal())

    def leave(self, work: "Work") -> None:
        """Note that some work has ended.

        Args:
            work: The work.
        """
        self.running.discard(work)

    def cut(self) -> None:
        """End all work that is under way, and what begins later as well."""
        self.begin()
        self._is_cut = True
        for work in tuple(self.running):
            work.end(self.refusal())


class Work:
    """Work of the current task that can be ended for a reason.

    Used as a context manager, which then raises the reason.

    Args:
        drain: Ends the work when the service stops.
    """

    __slots__ = ("_drain", "_reason", "_task")

    def __init__(self, drain: Drain) -> None:
        self._drain = drain
        self._reason: Exception | None = None

    def __enter__(self) -> Self:
        # A coroutine always runs in a task.
        self._task = cast("asyncio.Task[object]", asyncio.current_task())
        self._drain.enter(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._drain.leave(self)
        if self._reason is None or kind is not asyncio.CancelledError:
            return
        # Somebody else may have cancelled the task as well.
        if self._task.uncancel() == 0:
            raise self._take_reason() from None

    def _take_reason(self) -> Exception:
        # Whoever raises what he keeps makes a cycle, with all that he refers to.
        reason, self._reason = self._reason, None
        return cast("Exception", reason)

    def end(self, reason: Exception) -> None:
        """Cancel the work.

        Args:
            reason: What the context manager raises; the first one counts.
        """
        if self._reason is None:
            self._reason = reason
            self._task.cancel()
