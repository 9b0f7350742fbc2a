"""A complete answer as the chunks of a stream."""

from llm_proxy.types import (
    ChatResponse,
    Chunk,
    Part,
    Text,
    Thinking,
    ThinkingDelta,
    ToolCall,
    ToolCallDelta,
)


def scatter(response: ChatResponse) -> list[Chunk]:
    """Write an answer as a stream would have brought it.

    Args:
        response: The answer.

    Returns:
        One chunk per part, and one with the finish reason and the usage.
    """
    calls = 0
    chunks = [Chunk(model=response.model)]
    logprobs = response.logprobs
    for part in response.parts:
        chunk = _chunk(part, calls)
        if isinstance(part, ToolCall):
            calls += 1
        elif isinstance(part, Text) and logprobs is not None:
            chunk, logprobs = chunk._replace(logprobs=logprobs), None
        chunks.append(chunk)
    chunks.append(
        Chunk(
            finish_reason=response.finish_reason,
            usage=response.usage,
            stop_sequence=response.stop_sequence,
        )
    )
    return chunks


def _chunk(part: Part, calls: int) -> Chunk:
    match part:
        case Text():
            return Chunk(part.text)
        case Thinking():
            thoughts = ThinkingDelta(part.text, part.signature, part.encrypted)
            return Chunk(delta=thoughts)
        case ToolCall():
            call = ToolCallDelta(
                calls, part.id, part.name, part.arguments, part.custom, part.signature
            )
            return Chunk(delta=call)
        case _:
            # Media and results of tools are said by callers, not by models.
            return Chunk()
