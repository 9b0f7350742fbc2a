"""A caller's request in the dialect it came in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from llm_proxy.types import ChatRequest
from llm_proxy.wire.surface import Asked, Surface
from llm_proxy.wire.texts import latest_texts


@dataclass(frozen=True)
class Inquiry:
    """What a program asks that speaks a vendor's dialect.

    An upstream that speaks it too gets the bytes; for any other, `request` is the same
    in the canonical form, which is only made when it is needed.

    Attributes:
        surface: The dialect.
        body: The caller's JSON, as it came.
        asked: What the answer has to know; its `fields` are `body`, parsed.
        stream: Whether the answer comes as server-sent events.
        headers: Headers that an upstream of the same dialect gets as they are.
        conversation: `fields` with the stored turns that they only refer to.
    """

    surface: Surface
    body: bytes
    asked: Asked
    stream: bool
    headers: Sequence[tuple[str, str]] = ()
    conversation: Mapping[str, Any] = field(default_factory=dict)

    def latest_text(self) -> str:
        """Read the latest turn, from which a model's difficulty is judged."""
        return "\n".join(latest_texts(self.asked.fields))

    @cached_property
    def request(self) -> ChatRequest:
        """The canonical form; may raise what `Surface.decode_request` does."""
        return self.surface.decode_request(self.conversation or self.asked.fields)
