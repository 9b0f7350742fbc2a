"""The frozen values that travel between the layers."""

from llm_proxy.types.answer import (
    FILTERED,
    ChatResponse,
    Chunk,
    FinishReason,
    ThinkingDelta,
    ToolCallDelta,
    Usage,
)
from llm_proxy.types.parts import (
    CacheTTL,
    Media,
    Message,
    Part,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    join_text,
    said,
)
from llm_proxy.types.principal import (
    Principal,
)
from llm_proxy.types.request import (
    ChatRequest,
    Reasoning,
    ResponseFormat,
    Tool,
    ToolChoice,
)
from llm_proxy.types.timeouts import (
    NO_TIMEOUTS,
    Timeouts,
)

__all__ = [
    "FILTERED",
    "NO_TIMEOUTS",
    "CacheTTL",
    "ChatRequest",
    "ChatResponse",
    "Chunk",
    "FinishReason",
    "Media",
    "Message",
    "Part",
    "Principal",
    "Reasoning",
    "ResponseFormat",
    "Role",
    "Text",
    "Thinking",
    "ThinkingDelta",
    "Timeouts",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolChoice",
    "ToolResult",
    "Usage",
    "join_text",
    "said",
]
