"""A program on Anthropic's messages."""

from typing import Any

import anthropic
from anthropic.types import Message
from tests.clients.program import Call, Fields, Program, Tokens, Told, essence

_MAX_TOKENS = 4096


class MessagesProgram(Program):
    dialect = "anthropic_messages"
    bad_request = anthropic.BadRequestError

    def code_of(self, error: anthropic.BadRequestError) -> str | None:
        return error.error_code

    def plain(self, fields: Fields) -> Told:
        return _told(self.sdk.messages.create(**fields))

    def stream(self, fields: Fields) -> Told:
        kinds = []
        with self.sdk.messages.stream(**fields) as stream:
            for event in stream:
                kinds.append(event.type)
            message = stream.get_final_message()
        assert kinds[0] == "message_start"
        assert kinds[-1] == "message_stop"
        starts = kinds.count("content_block_start")
        assert starts == kinds.count("content_block_stop") == len(message.content)
        return _told(message, kinds.count("content_block_delta"))

    def says(self, *content: Any) -> dict[str, Any]:
        said = content[0] if isinstance(content[0], str) else list(content)
        messages = [{"role": "user", "content": said}]
        return {"messages": messages, "max_tokens": _MAX_TOKENS}

    def goes_on(self, fields: Fields, told: Told, *turns: Any) -> dict[str, Any]:
        results = [turn for turn in turns if turn.get("type") == "tool_result"]
        rest = [turn for turn in turns if turn.get("type") != "tool_result"]
        if results:
            rest = [{"role": "user", "content": results}, *rest]
        return {**fields, "messages": [*fields["messages"], *told.turn, *rest]}

    def result(self, call: Call, text: str) -> Any:
        return {"type": "tool_result", "tool_use_id": call.id, "content": text}


def _told(message: Message, deltas: int = 0) -> Told:
    assert message.role == "assistant"
    blocks = message.content
    usage = message.usage
    cached = usage.cache_read_input_tokens or 0
    text = "".join(block.text for block in blocks if block.type == "text")
    return Told(
        ending=message.stop_reason,
        turn=[{"role": "assistant", "content": [_block(block) for block in blocks]}],
        whole=essence(message.model_dump()),
        text=text,
        refused=message.stop_reason == "refusal",
        thoughts="".join(b.thinking for b in blocks if b.type == "thinking"),
        calls=[
            Call(block.id, block.name, block.input)
            for block in blocks
            if block.type == "tool_use"
        ],
        tokens=Tokens(
            usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0),
            usage.output_tokens,
            cached,
        ),
        stop_sequence=message.stop_sequence,
        deltas=deltas,
    )


def _block(block: Any) -> dict[str, Any]:
    return block.model_dump(exclude_none=True, exclude={"parsed_output"})
