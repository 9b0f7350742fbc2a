"""What turns and answers are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "developer", "user", "assistant"]
CacheTTL = Literal["5m", "1h"]

# Dialects write them before proofs that no other vendor takes.
_MARKS = ("gemini", "openai")


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text.

    Attributes:
        text: The text.
        cache: How long the provider should keep the prompt up to here; None leaves it
            to the provider.
    """

    text: str
    cache: CacheTTL | None = None


@dataclass(frozen=True, slots=True)
class Media:
    """An image, a document or a sound; one of `data`, `url` and `file_id` is set.

    Attributes:
        kind: What it is.
        media_type: ``image/png`` and the like; empty if nobody said.
        data: The bytes as base64.
        url: Where the provider finds it; we never follow it.
        file_id: The provider's id of an uploaded file.
        name: A file name or title.
        detail: How closely an image should be looked at: ``low``, ``high``, ``auto``.
        cache: As in `Text`.
    """

    kind: Literal["image", "document", "audio"]
    media_type: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    name: str = ""
    detail: str = ""
    cache: CacheTTL | None = None


@dataclass(frozen=True, slots=True)
class Thinking:
    """What a model thought before it answered.

    Attributes:
        text: The thoughts, or a summary of them; empty if they are not shown.
        signature: The provider's proof that it wrote `text`.
        encrypted: The thoughts in a form that only the provider reads.
    """

    text: str = ""
    signature: str = ""
    encrypted: str = ""

    @property
    def origin(self) -> str:
        """The only vendor who takes them back, where a mark says so; else empty."""
        mark, _, _ = (self.signature or self.encrypted).partition(":")
        return mark if mark in _MARKS else ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish that the caller runs a tool.

    Attributes:
        id: What the result refers to.
        name: The tool.
        arguments: JSON text as the model wrote it; of a custom tool, its free text.
        custom: Whether it is a tool that takes free text.
        signature: The provider's proof of the thoughts behind the call.
        cache: As in `Text`.
    """

    id: str
    name: str
    arguments: str
    custom: bool = False
    signature: str = ""
    cache: CacheTTL | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool returned.

    Attributes:
        call_id: The `ToolCall` it belongs to.
        content: Texts and media.
        is_error: Whether the tool failed.
        custom: Whether it is a tool that takes free text.
        cache: As in `Text`.
    """

    call_id: str
    content: tuple[Text | Media, ...]
    is_error: bool = False
    custom: bool = False
    cache: CacheTTL | None = None


Part = Text | Media | Thinking | ToolCall | ToolResult


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Attributes:
        role: Who speaks. Results of tools are parts of a user's turn.
        content: What is said. `ToolCall` and `Thinking` stand in turns of the
            assistant, `ToolResult` in turns of the user, before everything else.
        name: The speaker's name, where there are several users.
    """

    role: Role
    content: tuple[Part, ...]
    name: str = ""

    @property
    def text(self) -> str:
        """All its text together."""
        return join_text(self.content)


def said(role: Role, text: str) -> Message:
    """Make a turn that is text alone.

    Args:
        role: Who speaks.
        text: What is said.

    Returns:
        The turn.
    """
    return Message(role, (Text(text),))


def join_text(parts: Sequence[Part]) -> str:
    """Join the texts among parts.

    Args:
        parts: Parts of a turn or of an answer.

    Returns:
        The text, without thoughts and without what tools say.
    """
    return "".join([part.text for part in parts if isinstance(part, Text)])
