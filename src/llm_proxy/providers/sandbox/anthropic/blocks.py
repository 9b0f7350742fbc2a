"""The content blocks of a conversation, as Anthropic's API takes them.

Source: the Anthropic API reference, "Create a message", ``messages``.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from llm_proxy.providers.sandbox.anthropic.sources import (
    DocumentSource,
    ImageSource,
    PlainText,
    document_from,
    image_from,
)
from llm_proxy.providers.sandbox.conversation import Attachment
from llm_proxy.providers.sandbox.strict import Strict


class CacheControl(Strict):
    """A wish to keep everything up to here in a cache."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] = "5m"


class _Cacheable(Strict):
    cache_control: CacheControl | None = None


class TextBlock(_Cacheable):
    """Text."""

    type: Literal["text"]
    text: str
    citations: list[dict[str, Any]] | None = None


class ImageBlock(_Cacheable):
    """An image."""

    type: Literal["image"]
    source: ImageSource
    transformations: dict[str, Any] | None = None


class DocumentBlock(_Cacheable):
    """A document."""

    type: Literal["document"]
    source: DocumentSource
    citations: dict[str, Any] | None = None
    context: str | None = None
    title: str | None = None


class SearchResultBlock(_Cacheable):
    """Something that a search has found."""

    type: Literal["search_result"]
    content: list[TextBlock]
    source: str
    title: str
    citations: dict[str, Any] | None = None


class ThinkingBlock(Strict):
    """What a model thought before an earlier answer."""

    type: Literal["thinking"]
    thinking: str
    signature: str


class RedactedThinkingBlock(Strict):
    """The same, encrypted."""

    type: Literal["redacted_thinking"]
    data: str


class ToolUseBlock(_Cacheable):
    """A call of a tool."""

    type: Literal["tool_use"]
    id: str = Field(pattern=r"^[a-zA-Z0-9_-]+$")
    name: str = Field(min_length=1, max_length=200)
    input: dict[str, Any]
    caller: dict[str, Any] | None = None
    toolset_name: str | None = None


class _ToolReferenceBlock(_Cacheable):
    type: Literal["tool_reference"]
    tool_name: str


class _BrowserStateBlock(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")

    type: Literal["browser_state"]


def as_blocks(content: object) -> object:
    """Read text as the one block that it is short for.

    Args:
        content: Any JSON value.

    Returns:
        A list with a text block if it is text, else the value itself.
    """
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


_ResultBlock = Annotated[
    TextBlock
    | ImageBlock
    | DocumentBlock
    | SearchResultBlock
    | _ToolReferenceBlock
    | _BrowserStateBlock,
    Field(discriminator="type"),
]


class ToolResultBlock(_Cacheable):
    """What came of a call."""

    type: Literal["tool_result"]
    tool_use_id: str = Field(pattern=r"^[a-zA-Z0-9_-]+$")
    content: Annotated[list[_ResultBlock], BeforeValidator(as_blocks)] = Field(
        default_factory=list
    )
    is_error: bool = False
    toolset_name: str | None = None


class ServerBlock(BaseModel):
    """What a tool of the vendor's own left in the conversation; it is not looked at."""

    model_config = ConfigDict(strict=True, extra="allow")

    type: Literal[
        "server_tool_use",
        "web_search_tool_result",
        "web_fetch_tool_result",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
        "advisor_tool_result",
        "container_upload",
        "mcp_tool_use",
        "mcp_tool_result",
        "compaction",
    ]
    cache_control: CacheControl | None = None


Block = Annotated[
    TextBlock
    | ImageBlock
    | DocumentBlock
    | SearchResultBlock
    | ThinkingBlock
    | RedactedThinkingBlock
    | ToolUseBlock
    | ToolResultBlock
    | ServerBlock,
    Field(discriminator="type"),
]
AnyBlock = Block | _ResultBlock


def text_of(block: AnyBlock) -> str:
    """Read the text of a block.

    Args:
        block: The block.

    Returns:
        What a model reads in it as words.
    """
    if isinstance(block, TextBlock):
        return block.text
    if isinstance(block, ToolResultBlock | SearchResultBlock):
        return " ".join(filter(None, map(text_of, block.content)))
    if isinstance(block, DocumentBlock) and isinstance(block.source, PlainText):
        return block.source.data
    return ""


def attachments_of(block: AnyBlock) -> list[Attachment]:
    """Find what a block carries besides text.

    Args:
        block: The block.

    Returns:
        Images and documents, those inside of results too.
    """
    if isinstance(block, ImageBlock):
        return [image_from(block.source)]
    if isinstance(block, DocumentBlock):
        return [document_from(block.source)]
    if isinstance(block, ToolResultBlock):
        return [found for inner in block.content for found in attachments_of(inner)]
    return []
