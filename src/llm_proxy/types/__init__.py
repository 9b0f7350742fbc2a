"""The frozen values that travel between the layers."""

from llm_proxy.types.allowance import (
    UNBOUNDED,
    Allowance,
    Budget,
    Period,
    Subject,
    SubjectKind,
)
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
    ROLES,
    AccessRole,
    Principal,
    Scope,
    SurfaceName,
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
    "ROLES",
    "UNBOUNDED",
    "AccessRole",
    "Allowance",
    "Budget",
    "CacheTTL",
    "ChatRequest",
    "ChatResponse",
    "Chunk",
    "FinishReason",
    "Media",
    "Message",
    "Part",
    "Period",
    "Principal",
    "Reasoning",
    "ResponseFormat",
    "Role",
    "Scope",
    "Subject",
    "SubjectKind",
    "SurfaceName",
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
