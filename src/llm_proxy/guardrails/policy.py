"""What is done about the personal data and the attacks that a text contains."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llm_proxy.guardrails.injection import detect
from llm_proxy.guardrails.pii import redact

Action = Literal["allow", "flag", "redact", "block"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the guardrails say about one request.

    Attributes:
        action: The strongest thing to do: block, then redact, then flag, then allow.
        texts: What may leave, in the order it came in.
        pii: Kinds of personal data that were found, sorted; also if they stay in.
        injection: Names of the injection patterns that matched.
    """

    action: Action
    texts: tuple[str, ...]
    pii: tuple[str, ...] = ()
    injection: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Guardrails:
    """The operator's policy for text on its way to a provider.

    Attributes:
        redact_pii: Whether personal data is replaced by placeholders.
        injection: What an injection attempt leads to; ``off`` does not look.
    """

    redact_pii: bool
    injection: Literal["block", "flag", "off"]

    def inspect(self, texts: Sequence[str]) -> Verdict:
        """Judge the texts of one request; nothing is raised and nothing is logged.

        Args:
            texts: Every text of the request that a model would read, as it came.

        Returns:
            The verdict; the caller acts on it.
        """
        leaving: list[str] = []
        pii: set[str] = set()
        attacks: dict[str, None] = {}
        for text in texts:
            redaction = redact(text)
            pii.update(redaction.kinds)
            leaving.append(redaction.text if self.redact_pii else text)
            if self.injection != "off":
                attacks.update(dict.fromkeys(detect(text)))
        return Verdict(
            action=self._action(bool(pii), bool(attacks)),
            texts=tuple(leaving),
            pii=tuple(sorted(pii)),
            injection=tuple(attacks),
        )

    def watch(self, texts: Sequence[str]) -> Verdict:
        """Look for attacks in texts that are not ours to change.

        Args:
            texts: What programs send in a vendor's dialect.

        Returns:
            The verdict: allow or flag.
        """
        attacks: dict[str, None] = {}
        if self.injection != "off":
            for text in texts:
                attacks.update(dict.fromkeys(detect(text)))
        action: Action = "flag" if attacks else "allow"
        return Verdict(action, tuple(texts), injection=tuple(attacks))

    def _action(self, has_pii: bool, has_attack: bool) -> Action:
        if has_attack and self.injection == "block":
            return "block"
        if has_pii and self.redact_pii:
            return "redact"
        return "flag" if has_attack else "allow"
