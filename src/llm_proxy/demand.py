"""How much a call may use at most, found out only where somebody has to know."""

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llm_proxy.tokens import TokenCounter
from llm_proxy.types import ChatRequest, Media
from llm_proxy.wire import Inquiry, asked_texts

# Longer texts are counted in a thread: this many take about two milliseconds.
_MOST_INLINE = 32_768
# Anthropic's upper bound for an image ("Vision", "Image costs"): its size is not known.
TOKENS_OF_MEDIA = 1600
# What surrounds a text: the role of its turn and its ends.
_TOKENS_OF_TEXT = 4
_OUTPUT_FIELDS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_MEDIA_TYPES = frozenset(
    (
        "document",
        "file",
        "image",
        "image_url",
        "input_audio",
        "input_file",
        "input_image",
    )
)


@dataclass(frozen=True, slots=True)
class Demand:
    """What a call asks for, as far as it has to be paid.

    Attributes:
        texts: Lists what a model has to read.
        media: Counts the images, sounds and documents in it.
        output_tokens: The longest answer that is wanted; None leaves it to the model,
            and 0 is for what has no answer in tokens.
        answers: How many answers are wanted.
        token_ids: Tokens that the caller has made of texts itself.
        is_unseen: Whether the answer comes later, and past us.
        dialect: In which the answer's bytes are read by who has to count their tokens;
            empty for answers that are no bytes, and None for those without tokens.
    """

    texts: Callable[[], Sequence[str]]
    media: Callable[[], int] = int
    output_tokens: int | None = None
    answers: int = 1
    dialect: str | None = None
    token_ids: int = 0
    is_unseen: bool = False

    async def input_tokens(self, model: str, counter: TokenCounter) -> int:
        """Count what the model has to read.

        Args:
            model: A vendor's name of it.
            counter: Counts.

        Returns:
            Tokens: exact for OpenAI's texts, an estimate for all others.
        """
        texts = self.texts()
        if sum(map(len, texts)) <= _MOST_INLINE:
            counted = counter.count(texts, model)
        else:
            counted = await asyncio.to_thread(counter.count, texts, model)
        counted += self.token_ids
        return counted + len(texts) * _TOKENS_OF_TEXT + self.media() * TOKENS_OF_MEDIA


# Of calls that are not paid by the token.
NO_TOKENS = Demand(tuple, output_tokens=0)


def demand_of_chat(request: ChatRequest) -> Demand:
    """Say what a request of our own surfaces asks for.

    Args:
        request: The request.

    Returns:
        Its demand.
    """

    def media() -> int:
        return sum(
            isinstance(part, Media)
            for message in request.messages
            for part in message.content
        )

    return Demand(lambda: request.texts, media, request.max_tokens, dialect="")


def demand_of_inquiry(inquiry: Inquiry) -> Demand:
    """Say what a program asks for in a vendor's dialect.

    Args:
        inquiry: The question.

    Returns:
        Its demand.
    """
    demand = demand_of_fields(inquiry.conversation or inquiry.asked.fields)
    return replace(demand, dialect=inquiry.surface.name)


def demand_of_fields(fields: Mapping[str, Any]) -> Demand:
    """Say what a request's JSON asks for.

    Args:
        fields: In any of the dialects in which callers speak.

    Returns:
        Its demand.
    """
    given = (_number(fields.get(name)) for name in _OUTPUT_FIELDS)
    # Which of several an upstream heeds is its own business.
    output = max(given) or None
    prompts = fields.get("prompt")
    answers = max(1, _number(fields.get("n")), _number(fields.get("best_of")))
    if isinstance(prompts, list) and prompts and not isinstance(prompts[0], int):
        answers *= len(prompts)
    return Demand(
        lambda: list(asked_texts(fields)),
        lambda: sum(1 for _ in _media(fields.get("messages", fields.get("input")))),
        output,
        answers,
        token_ids=_token_ids(prompts) + _token_ids(fields.get("input")),
        is_unseen=fields.get("background") is True,
    )


def _number(value: object) -> int:
    """Read a bound as the most lenient upstream would; 0 is for none."""
    try:
        number = math.ceil(float(value)) if isinstance(value, str | float) else value
    except (ValueError, OverflowError):
        return 0
    if isinstance(number, int) and not isinstance(number, bool):
        return max(0, number)
    return 0


def _token_ids(value: object) -> int:
    """Count tokens that stand for themselves, in one prompt or in many."""
    if not isinstance(value, list) or not value:
        return 0
    if isinstance(value[0], int):
        return len(value)
    return sum(len(each) for each in value if isinstance(each, list))


def _media(turns: object) -> Iterator[None]:
    """Yield once for every part that is no text, however deep in tool results."""
    for item in turns if isinstance(turns, list) else ():
        if isinstance(item, dict):
            if item.get("type") in _MEDIA_TYPES:
                yield None
            else:
                yield from _media(item.get("content", item.get("output")))
