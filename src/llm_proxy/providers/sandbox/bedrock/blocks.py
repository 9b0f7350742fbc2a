"""The content blocks of a conversation, as Converse takes them.

Source: the Amazon Bedrock API reference, "ContentBlock" and "SystemContentBlock".
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from llm_proxy.providers.sandbox.bedrock.media import (
    Audio,
    Document,
    Image,
    Video,
    attachment_from,
)
from llm_proxy.providers.sandbox.bedrock.structure import Blob, OneOf, Structure
from llm_proxy.providers.sandbox.conversation import Attachment

ToolName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
_ToolUseID = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.:-]{1,64}$")]


class CachePoint(Structure):
    """A wish to keep everything up to here in a cache."""

    type: Literal["default"]
    ttl: Literal["5m", "1h"] | None = None


class _GuardedText(Structure):
    text: str
    qualifiers: list[Literal["grounding_source", "query", "guard_content"]] | None = (
        None
    )


class GuardContent(OneOf):
    """What a guardrail has to look at."""

    text: _GuardedText | None = None
    image: Image | None = None


class ReasoningText(Structure):
    """Thoughts, and what proves that a model has had them."""

    text: str
    signature: str | None = None


class ReasoningContent(OneOf):
    """What a model thought before an earlier answer, perhaps encrypted."""

    reasoning_text: ReasoningText | None = None
    redacted_content: Blob | None = None


class ToolUse(Structure):
    """A call of a tool."""

    tool_use_id: _ToolUseID
    name: ToolName
    input: dict[str, Any]
    type: Literal["server_tool_use"] | None = None


class _ResultBlock(OneOf):
    text: str | None = None
    value: Annotated[Any, Field(alias="json")] = None
    image: Image | None = None
    document: Document | None = None
    video: Video | None = None
    search_result: dict[str, Any] | None = None

    @property
    def said(self) -> str:
        """What a model reads in it as words."""
        return self.text or ("" if self.value is None else str(self.value))


class ToolResult(Structure):
    """What came of a call."""

    tool_use_id: _ToolUseID
    content: list[_ResultBlock]
    status: Literal["success", "error"] | None = None
    type: str | None = None

    @property
    def said(self) -> str:
        """What a model reads in it as words."""
        return " ".join(block.said for block in self.content if block.said)


class Block(OneOf):
    """One of several things."""

    text: str | None = None
    image: Image | None = None
    document: Document | None = None
    audio: Audio | None = None
    video: Video | None = None
    tool_use: ToolUse | None = None
    tool_result: ToolResult | None = None
    guard_content: GuardContent | None = None
    cache_point: CachePoint | None = None
    reasoning_content: ReasoningContent | None = None
    citations_content: dict[str, Any] | None = None
    search_result: dict[str, Any] | None = None

    @property
    def said(self) -> str:
        """Its text, also if a guardrail looks at it."""
        return self.text or _guarded(self.guard_content)

    @property
    def attachments(self) -> list[Attachment]:
        """What it carries besides text, those inside of results too."""
        media = [self.image, self.document, self.audio, self.video]
        for block in self.tool_result.content if self.tool_result else ():
            media += [block.image, block.document, block.video]
        return [attachment_from(medium) for medium in media if medium]


class SystemBlock(OneOf):
    """A part of the instructions."""

    text: Annotated[str, Field(min_length=1)] | None = None
    guard_content: GuardContent | None = None
    cache_point: CachePoint | None = None

    @property
    def said(self) -> str:
        """Its text, also if a guardrail looks at it."""
        return self.text or _guarded(self.guard_content)


def words_of(block: Block | SystemBlock) -> str:
    """Read a block.

    Args:
        block: The block.

    Returns:
        What a model reads in it as words.
    """
    if isinstance(block, Block) and block.tool_result:
        return block.tool_result.said
    return block.said


def _guarded(content: GuardContent | None) -> str:
    return content.text.text if content and content.text else ""
