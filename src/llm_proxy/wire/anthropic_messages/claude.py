"""What a model takes, as far as its name tells.

Source: the Anthropic docs, "Adaptive thinking", "Effort", "Extended thinking",
"Structured outputs" and "Migrating to new models".
"""

import re
from dataclasses import dataclass

_GENERATION = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:[-.](\d{1,2})(?!\d))?")
_NEWEST = (1000, 0)


@dataclass(frozen=True, slots=True)
class Claude:
    """What a model takes.

    Attributes:
        budget: Thinking with ``budget_tokens``.
        adaptive: Thinking of which the model itself decides how much.
        disabled: To be told not to think.
        xhigh: The effort ``xhigh``.
        sampling: ``temperature``, ``top_p`` and ``top_k``.
        schemas: ``output_config.format``; None if we do not know.
        prefill: To go on from the beginning of an answer.
        answer_tokens: The most tokens that every model of its generation can write.
    """

    budget: bool = True
    adaptive: bool = False
    disabled: bool = True
    xhigh: bool = False
    sampling: bool = True
    schemas: bool | None = None
    prefill: bool = True
    answer_tokens: int = 8_192

    @classmethod
    def named(cls, model: str) -> "Claude":
        """Tell from a model's name what it takes.

        Args:
            model: The upstream's name, such as ``claude-opus-4-6``. What is no Claude
                is somebody else's model behind the same API, and is asked for what
                that API has always had.

        Returns:
            What it takes. A Claude without a number counts as the newest.
        """
        if "claude" not in model:
            return cls()
        match = _GENERATION.search(model)
        generation = (int(match[1]), int(match[2] or 0)) if match else _NEWEST
        return cls(
            budget=(3, 7) <= generation < (4, 7),
            adaptive=generation >= (4, 6),
            disabled=generation >= (3, 7) and not re.search("fable|mythos", model),
            xhigh=generation >= (4, 7),
            sampling=generation < (4, 7),
            schemas=generation >= (4, 1),
            prefill=generation < (4, 6),
            answer_tokens=_answer_tokens(generation),
        )


def _answer_tokens(generation: tuple[int, int]) -> int:
    if generation < (3, 5):
        return 4_096
    return 8_192 if generation < (3, 7) else 32_000
