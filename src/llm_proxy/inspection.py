"""What the guardrails say of a call, told to those who watch the service."""

from collections.abc import Sequence

from llm_proxy.errors import PromptInjectionError
from llm_proxy.guardrails import Guardrails, Verdict
from llm_proxy.telemetry import Metrics, get_logger
from llm_proxy.wire import Inquiry, latest_texts

_log = get_logger(__name__)


class Inspection:
    """Lets the guardrails look at what callers send; logs kinds, and never text.

    Args:
        guards: Look at texts.
        metrics: Count what was redacted.
    """

    def __init__(self, guards: Guardrails, metrics: Metrics) -> None:
        self._guards = guards
        self._metrics = metrics

    def inspect(self, feature: str, texts: Sequence[str]) -> Verdict:
        """Look at texts that may be changed or refused.

        Args:
            feature: Which part of the product is used.
            texts: Everything that is said.

        Returns:
            The verdict, with the texts that may be sent.

        Raises:
            PromptInjectionError: The guardrails refuse.
        """
        length = sum(map(len, texts))
        _log.debug("Processing prompt (length: %d chars)", length, feature=feature)
        verdict = self._guards.inspect(texts)
        if verdict.pii:
            _log.warning("pii_detected", kinds=verdict.pii, feature=feature)
        if verdict.action == "redact":
            self._metrics.observe_pii(verdict.pii)
        _warn_of_injection(verdict, feature, texts)
        if verdict.action == "block":
            raise PromptInjectionError(details={"patterns": verdict.injection})
        return verdict

    def watch(self, feature: str, inquiry: Inquiry) -> Verdict:
        """Look at the latest texts of an inquiry, which passes whatever is found.

        Args:
            feature: As for `inspect`.
            inquiry: What is asked.

        Returns:
            The verdict.
        """
        texts = latest_texts(inquiry.asked.fields)
        verdict = self._guards.watch(texts)
        _warn_of_injection(verdict, feature, texts)
        return verdict


def _warn_of_injection(verdict: Verdict, feature: str, texts: Sequence[str]) -> None:
    if verdict.injection:
        facts = {"patterns": verdict.injection, "action": verdict.action}
        length = sum(map(len, texts))
        _log.warning(
            "prompt_injection_detected", length=length, feature=feature, **facts
        )
