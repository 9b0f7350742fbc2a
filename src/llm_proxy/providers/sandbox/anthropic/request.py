"""The body of a request for a message.

Source: the Anthropic API reference, "Create a message".
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from llm_proxy.providers.sandbox.anthropic.blocks import (
    Block,
    CacheControl,
    TextBlock,
    as_blocks,
    attachments_of,
    text_of,
)
from llm_proxy.providers.sandbox.anthropic.output import (
    OutputConfig,
    Thinking,
    check_output,
    check_thinking,
    schema_of,
    thinking_mode,
)
from llm_proxy.providers.sandbox.anthropic.tools import (
    ToolChoice,
    ToolDefinition,
    allows_parallel,
    check_tools,
    choose,
    forces_call,
)
from llm_proxy.providers.sandbox.anthropic.turns import (
    Message,
    Turn,
    check_messages,
    check_text,
    results_in,
    turns_of,
)
from llm_proxy.providers.sandbox.conversation import Attachment, Question
from llm_proxy.providers.sandbox.dialect import Problem, count_words, first_mistake
from llm_proxy.providers.sandbox.strict import Strict

_MOST_BREAKPOINTS = 4


def _as_system(system: object) -> object:
    return [] if system == "" else as_blocks(system)


class Body(Strict):
    """All parameters that the vendor knows, also those of its betas.

    The ones without effect may be anything.
    """

    model: str = Field(min_length=1)
    max_tokens: int = Field(ge=1)
    messages: list[Message] = Field(min_length=1)
    system: Annotated[list[TextBlock], BeforeValidator(_as_system)] = Field(
        default_factory=list
    )
    stream: bool = False
    stop_sequences: list[str] = Field(default_factory=list)
    temperature: float | None = Field(None, ge=0, le=1)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=0)
    thinking: Thinking | None = None
    tools: list[ToolDefinition] = Field(default_factory=list)
    tool_choice: ToolChoice | None = None
    output_config: OutputConfig | None = None
    cache_control: CacheControl | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    metadata: Any = None
    container: Any = None
    diagnostics: Any = None
    inference_geo: str | None = None
    speed: Literal["standard", "fast"] | None = None
    billing_policy: Any = None
    compaction: Any = None
    context_management: Any = None
    fallback_credit_token: Any = None
    fallbacks: Any = None
    mcp_servers: Any = None
    thread: Any = None


def read_request(body: bytes) -> Question | Problem:
    """Read a request as strictly as the vendor does.

    Args:
        body: The bytes.

    Returns:
        What is asked, or the first mistake.
    """
    try:
        request = Body.model_validate_json(body)
    except ValidationError as error:
        mistake = first_mistake(error)
        path = ".".join(map(str, mistake.path))
        return Problem(400, f"{path}: {mistake.message}".removeprefix(": "))
    return _check(request) or _question_of(request, body)


def _check(request: Body) -> Problem | None:
    """Find what is wrong with a request whose parameters are all well-formed."""
    system = (check_text("system", block) for block in request.system)
    return (
        _check_thread(request.thread)
        or check_messages(request.messages)
        or next(filter(None, system), None)
        or check_tools(request.tools, request.tool_choice)
        or check_output(request.output_config)
        or _check_stops(request.stop_sequences)
        or _check_breakpoints(request)
        or _check_thinking(request)
    )


def _check_thread(thread: object) -> Problem | None:
    """Refuse what goes on from an answer: the sandbox keeps none."""
    if thread is None:
        return None
    return Problem(
        400,
        "thread: Send the full conversation without `thread`.",
        code="thread_unsupported_request",
    )


def _check_stops(stops: Sequence[str]) -> Problem | None:
    if all(stop.strip() for stop in stops):
        return None
    return Problem(
        400, "stop_sequences: each stop sequence must contain non-whitespace"
    )


def _check_breakpoints(request: Body) -> Problem | None:
    blocks = [*_blocks_of(request), *request.tools]
    found = sum(getattr(block, "cache_control", None) is not None for block in blocks)
    if found <= _MOST_BREAKPOINTS:
        return None
    return Problem(
        400,
        f"A maximum of {_MOST_BREAKPOINTS} blocks with cache_control may be provided. "
        f"Found {found}.",
    )


def _check_thinking(request: Body) -> Problem | None:
    if request.thinking is None or request.thinking.type == "disabled":
        return None
    fixed = {
        "temperature": request.temperature not in (None, 1),
        "top_p": request.top_p is not None and request.top_p < 0.95,
        "top_k": request.top_k is not None,
    }
    if forces_call(request.tool_choice):
        message = "Thinking may not be enabled when tool_choice forces tool use."
        return Problem(400, message)
    turns = turns_of(request.messages)
    return check_thinking(request.thinking, request.max_tokens, fixed, turns)


def _blocks_of(request: Body) -> Iterator[Block]:
    yield from request.system
    for message in request.messages:
        yield from message.content


def _question_of(request: Body, body: bytes) -> Question:
    turns = turns_of(request.messages)
    asked = [turn for turn in turns if turn.role == "user"]
    texts = [_words_in(turn) for turn in asked]
    tools, tool_choice = choose(request.tools, request.tool_choice)
    blocks = [*_blocks_of(request)]
    results = results_in(turns)
    return Question(
        model=request.model,
        text=next(filter(None, reversed(texts)), ""),
        input_tokens=count_words(*map(text_of, blocks)),
        max_tokens=request.max_tokens,
        stream=request.stream,
        schema=schema_of(request.output_config),
        body=body.decode(),
        tools=tools,
        tool_choice=tool_choice,
        parallel_calls=allows_parallel(request.tool_choice),
        tool_results=results,
        attachments=tuple(_attachments_in(asked[-1])) if asked else (),
        thinking=thinking_mode(request.thinking, after_results=bool(results)),
        stop=tuple(request.stop_sequences),
        prefill=_words_in(turns[-1]) if turns[-1].role == "assistant" else "",
        cached_tokens=_cached_words(blocks),
    )


def _words_in(turn: Turn) -> str:
    """Put together what is said in text, and not in results or documents."""
    blocks = [block for block in turn.blocks if isinstance(block, TextBlock)]
    return " ".join(block.text for block in blocks)


def _attachments_in(turn: Turn) -> Iterator[Attachment]:
    for block in turn.blocks:
        yield from attachments_of(block)


def _cached_words(blocks: Sequence[Block]) -> int:
    marked = [b for b in blocks if getattr(b, "cache_control", None) is not None]
    return count_words(*map(text_of, marked))
