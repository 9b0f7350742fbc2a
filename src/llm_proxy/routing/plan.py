"""Whom a call asks next: the decisions behind the one loop of attempts."""

from collections.abc import Callable, Iterable

from llm_proxy.errors import (
    APIError,
    InvalidInputError,
    LLMAPIError,
    LLMConnectionError,
    LLMContentFilteredError,
    LLMStreamBrokenError,
    LLMTimeoutError,
    PromptTooLongError,
    ProviderNotConfiguredError,
    UnsupportedFeatureError,
)
from llm_proxy.routing.choice import choose, choose_for
from llm_proxy.routing.condition import Pause
from llm_proxy.routing.policy import Policy
from llm_proxy.routing.route import Deployment, Route, Target, Tier
from llm_proxy.routing.step import Step
from llm_proxy.routing.trace import Trace


class Plan:
    """The way of one call: tier by tier, every deployment once, then retries.

    Args:
        route: Where the call may go.
        policy: What all calls have in common.
        trace: Is told who was passed over.
        deadline: When all must be over, on `clock`.
        clock: Monotonic seconds.

    Attributes:
        problem: The failure to tell the caller if nobody answers.
    """

    def __init__(
        self,
        route: Route,
        policy: Policy,
        trace: Trace,
        deadline: float,
        clock: Callable[[], float],
    ) -> None:
        self.route = route
        self.trace = trace
        self.deadline = deadline
        self.problem: APIError | None = None
        self._policy = policy
        self._clock = clock
        self._tier = 0
        self._asked: dict[Target, int] = {}
        # Who may be asked again in the present tier, and how they failed.
        self._again: dict[Deployment, LLMAPIError] = {}
        self._retries = 0
        self._paused: dict[Deployment, Pause] = {}
        self._smallest_window = 0

    def next(self) -> Step | None:
        """Decide whom to ask.

        Returns:
            The next attempt; None if nobody is left, and `problem` says why.
        """
        while self._tier < len(self.route.tiers):
            tier = self.route.tiers[self._tier]
            if fresh := self._fresh(tier):
                return self._ask(self._choose(fresh))
            if self._again and (step := self._retry()):
                return step
            self._tier += 1
            self._again.clear()
            self._retries = 0
        return self._come_again()

    def alternative(self) -> Step | None:
        """Decide whom to ask besides the one who is silent.

        Returns:
            An attempt at somebody who was not asked; None if there is nobody, or the
            budget does not allow it.
        """
        for tier in self.route.tiers[self._tier :]:
            if fresh := self._fresh(tier):
                deployment = self._choose(fresh)
                if not self._policy.budget.take(deployment.target.provider):
                    return None
                return Step(self._ask(deployment).deployment, is_retry=True)
        return None

    def failed(self, step: Step, error: APIError) -> None:
        """Note how an attempt failed.

        Args:
            step: The attempt.
            error: How it failed.

        Raises:
            APIError: The same, if nobody else may be asked for it.
        """
        if isinstance(error, LLMContentFilteredError):
            # To go around a provider's filter is not ours to decide.
            if not self.route.reroutes_filtered:
                raise error
        elif isinstance(error, PromptTooLongError):
            window = self._policy.window_of(step.deployment)
            if window is None:
                raise error
            self._smallest_window = max(self._smallest_window, window + 1)
        elif isinstance(error, UnsupportedFeatureError):
            self._pass_over(step.target, error)
            # The failure of one who can says more.
            self.problem = self.problem or error
            return
        elif isinstance(error, InvalidInputError):
            raise error
        elif isinstance(error, LLMAPIError) and error.transient:
            self._again[step.deployment] = error
        elif isinstance(error, ProviderNotConfiguredError):
            self._pass_over(step.target, error)
        elif not isinstance(error, LLMAPIError):
            raise error
        self.problem = error

    def share_seconds(self) -> float | None:
        """Say how long an attempt may be silent, so that the next one has its time too.

        Returns:
            Half of what is left; None if nobody else could be asked.
        """
        tiers = self.route.tiers
        if len(tiers) == len(tiers[0]) == 1:
            return None
        others = (each.target for tier in tiers[self._tier :] for each in tier)
        if not any(
            target not in self._asked and self._policy.health.pause_of(target) is None
            for target in others
        ):
            return None
        return (self.deadline - self._clock()) / 2

    def take_problem(self) -> APIError:
        """Give away the failure to tell the caller; whoever keeps it makes a cycle.

        Returns:
            The error to raise.
        """
        problem, self.problem = self.problem, None
        return problem or LLMTimeoutError(log_detail="nobody was asked")

    def broke_off(self, step: Step, error: APIError) -> None:
        """Note that a stream has died after it had begun; it can be asked for again.

        Args:
            step: The attempt.
            error: How it died.
        """
        self.problem = error
        self.trace.broke_off(step.target, error)
        # Who was left alone before may have recovered.
        self._tier = 0
        self._paused.clear()
        self._again.clear()
        if any(map(self._fresh, self.route.tiers)):
            return
        # Better the same again than half an answer.
        if isinstance(error, LLMAPIError) and (
            error.transient or isinstance(error, LLMStreamBrokenError)
        ):
            self._go_back_to(step.deployment)
            self._again[step.deployment] = error

    def _go_back_to(self, deployment: Deployment) -> None:
        tiers = enumerate(self.route.tiers)
        self._tier = next(number for number, tier in tiers if deployment in tier)

    def _choose(self, fresh: list[Deployment]) -> Deployment:
        if self.route.session:
            return choose_for(self.route.session, fresh)
        return choose(fresh, self._policy.health)

    def _ask(self, deployment: Deployment, wait: float = 0.0) -> Step:
        target = deployment.target
        self._asked[target] = self._asked.get(target, 0) + 1
        return Step(deployment, wait)

    def _fresh(self, tier: Tier) -> list[Deployment]:
        """List those of a tier who were not asked and can be."""
        return [deployment for deployment in tier if self._is_fresh(deployment)]

    def _is_fresh(self, deployment: Deployment) -> bool:
        target = deployment.target
        if target in self._asked or (self._paused and deployment in self._paused):
            return False
        pause = self._policy.health.pause_of(target)
        if pause is not None:
            self._paused[deployment] = pause
            self._pass_over(target, pause.error)
            return False
        if self._is_large_enough(deployment):
            return True
        self._asked[target] = 0
        detail = "its context window is not known to be larger"
        self.trace.pass_over(target, PromptTooLongError.code, detail)
        return False

    def _is_large_enough(self, deployment: Deployment) -> bool:
        if not self._smallest_window:
            return True
        window = self._policy.window_of(deployment)
        return window is not None and window >= self._smallest_window

    def _retry(self) -> Step | None:
        """Ask one of the present tier again, if it makes sense."""
        if self._retries >= self.route.retries:
            return None
        waits = {
            deployment: wait
            for deployment, error in self._again.items()
            if (wait := self._wait_for(deployment, error)) is not None
        }
        for deployment in sorted(
            waits, key=lambda each: (self._asked[each.target], waits[each])
        ):
            if self._policy.budget.take(deployment.target.provider):
                self._retries += 1
                del self._again[deployment]
                self._ask(deployment)
                return Step(deployment, waits[deployment], is_retry=True)
            detail = "too many retries lately"
            self.trace.pass_over(deployment.target, "RETRY_BUDGET", detail)
        return None

    def _wait_for(self, deployment: Deployment, error: LLMAPIError) -> float | None:
        """Say how long to wait for a deployment; None if there is no point."""
        asked = self._asked[deployment.target]
        # Two questions at a time may lead back to who has had all retries.
        if asked > self.route.retries or not self._is_large_enough(deployment):
            return None
        if type(error) is LLMConnectionError and asked > 1:
            # Who cannot be reached twice is not there.
            return None
        wait = self._rest_of(deployment, error)
        if wait is None or self._clock() + wait >= self.deadline:
            return None
        backoff = self._policy.backoff
        # A fallback is quicker than an upstream that wants a long rest.
        is_long = wait > backoff.max_seconds + backoff.jitter_seconds
        later = self.route.tiers[self._tier + 1 :]
        return None if is_long and self._has_ready(later) else wait

    def _rest_of(self, deployment: Deployment, error: LLMAPIError) -> float | None:
        """Say how long a deployment should be left alone; None if for too long."""
        backoff = self._policy.backoff
        wait = backoff.seconds(self._retries + 1, error)
        pause = self._policy.health.pause_of(deployment.target)
        if pause is None:
            return wait
        if not pause.by_advice or pause.seconds > backoff.retry_after_max_seconds:
            return None
        return max(wait, pause.seconds)

    def _has_ready(self, tiers: Iterable[Tier]) -> bool:
        health = self._policy.health
        return any(
            health.pause_of(each.target) is None for tier in tiers for each in tier
        )

    def _come_again(self) -> Step | None:
        """Wait for somebody who has asked for a short rest, if that is all there is."""
        paused, self._paused = self._paused, {}
        # Who is resting says more than who cannot do it.
        if paused and isinstance(self.problem, UnsupportedFeatureError | None):
            self.problem = next(iter(paused.values())).error
            most = self._policy.backoff.retry_after_max_seconds
            left = min(most, self.deadline - self._clock())
            resting = {
                each: pause.seconds
                for each, pause in paused.items()
                if pause.by_advice and pause.seconds < left
            }
            if resting:
                deployment = min(resting, key=resting.__getitem__)
                self._go_back_to(deployment)
                wait = self._policy.backoff.spread(resting[deployment])
                return self._ask(deployment, min(wait, left))
        return None

    def _pass_over(self, target: Target, error: APIError) -> None:
        self.trace.pass_over(target, error.code, error.message)
