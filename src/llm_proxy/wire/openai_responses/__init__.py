"""OpenAI's Responses API, in both directions; the dialect of Codex."""

from llm_proxy.wire.openai_responses.dialect import OpenAIResponses
from llm_proxy.wire.openai_responses.endings import failed_event, final_response
from llm_proxy.wire.openai_responses.response_writer import (
    begin_response,
    fail_response,
    write_response,
)
from llm_proxy.wire.openai_responses.surface import OpenAIResponsesSurface

__all__ = [
    "OpenAIResponses",
    "OpenAIResponsesSurface",
    "begin_response",
    "fail_response",
    "failed_event",
    "final_response",
    "write_response",
]
