"""Reads the items of an upstream's answer, in pieces or as a whole.

Some upstreams stream every piece, some only tell what an item is when it is done, and
some say it in the last event alone. So for each text it is known how much was heard of
it, and what is said again adds only the rest.
"""

from collections.abc import Mapping
from typing import Any, Literal

from llm_proxy.types import (
    Chunk,
    Thinking,
    ThinkingDelta,
    ToolCallDelta,
)
from llm_proxy.wire.openai_responses.finish import read_finish_reason
from llm_proxy.wire.openai_responses.thoughts import (
    BETWEEN_SUMMARIES,
    CallSignature,
    unseal,
)
from llm_proxy.wire.openai_responses.usage import read_usage
from llm_proxy.wire.reading import read_mappings, read_string

Kind = Literal["text", "summary", "content", "arguments"]
Place = tuple[int, Kind, int]
# The calls that a caller answers, and where their arguments are.
ARGUMENTS = {"function_call": "arguments", "custom_tool_call": "input"}


class OutputReader:
    """Turns what is heard of one answer into chunks."""

    def __init__(self) -> None:
        self._heard: dict[Place, int] = {}
        self._calls: dict[int, int] = {}
        self._call_ids: list[str] = []
        self._thoughts: dict[int, Kind] = {}
        self._places: dict[str, int] = {}
        self._whole: set[int] = set()
        self._refused = False

    def hear_text(self, place: Place, piece: str, logprobs: object = None) -> Chunk:
        """Take a piece of text."""
        self._heard[place] = self._heard.get(place, 0) + len(piece)
        if logprobs:
            return Chunk(piece, logprobs=_read_logprobs(logprobs))
        return Chunk(piece)

    def hear_whole_text(
        self, place: Place, whole: str, logprobs: object
    ) -> Chunk | None:
        """Take all of a text."""
        piece = self.rest(place, whole)
        if not piece:
            return None
        return self.hear_text(place, piece, None if place in self._heard else logprobs)

    def hear_refusal(self, place: Place, piece: str) -> Chunk:
        """Take a piece of a refusal."""
        self._refused = True
        return self.hear_text(place, piece)

    def hear_thoughts(self, place: Place, piece: str) -> Chunk | None:
        """Take a piece of thoughts, or of their summary if that came first."""
        index, kind, part = place
        if self._thoughts.setdefault(index, kind) != kind or not piece:
            return None
        if part > 0 and place not in self._heard:
            self._heard[place] = len(piece)
            return Chunk(delta=ThinkingDelta(BETWEEN_SUMMARIES + piece))
        self._heard[place] = self._heard.get(place, 0) + len(piece)
        return Chunk(delta=ThinkingDelta(piece))

    def hear_arguments(self, place: Place, piece: str) -> Chunk | None:
        """Take a piece of arguments; of a call that has no name yet it is ignored."""
        call = self._calls.get(place[0])
        if call is None or not piece:
            return None
        self._heard[place] = self._heard.get(place, 0) + len(piece)
        return Chunk(delta=ToolCallDelta(call, arguments=piece))

    def rest(self, place: Place, whole: str) -> str:
        """Tell what of a whole text was not heard yet."""
        return whole[self._heard.get(place, 0) :]

    def begin_item(self, index: int, item: Mapping[str, Any]) -> Chunk | None:
        """Take an item that begins; what it holds comes later."""
        item_id = item.get("id")
        if isinstance(item_id, str):
            self._places[item_id] = index
        # A tuple, because what an upstream sends may not be hashable.
        if item.get("type") not in tuple(ARGUMENTS) or index in self._calls:
            return None
        self._calls[index] = len(self._call_ids)
        call_id = item.get("call_id") or item_id
        self._call_ids.append(call_id if isinstance(call_id, str) else f"call_{index}")
        name = item.get("name")
        return Chunk(
            delta=ToolCallDelta(
                self._calls[index],
                self._call_ids[-1],
                name if isinstance(name, str) else "",
                custom=item["type"] == "custom_tool_call",
            )
        )

    def end_item(self, index: int, item: Mapping[str, Any]) -> list[Chunk]:
        """Take a whole item."""
        self._whole.add(index)
        begun = self.begin_item(index, item)
        chunks = [] if begun is None else [begun]
        match item.get("type"):
            case "message":
                chunks += self._end_message(index, item)
            case "reasoning":
                chunks += self._end_reasoning(index, item)
            case "function_call" | "custom_tool_call" as kind:
                place: Place = (index, "arguments", 0)
                piece = self.rest(place, read_string(item, ARGUMENTS[kind]))
                if more := self.hear_arguments(place, piece):
                    chunks.append(more)
        return chunks

    def hear_output(self, response: Mapping[str, Any]) -> list[Chunk]:
        """Take all items of an answer; what was heard already is passed over."""
        chunks: list[Chunk] = []
        for position, item in enumerate(read_mappings(response, "output")):
            item_id = item.get("id")
            # Items that are not shown shift the positions of those behind them.
            known = self._places.get(item_id) if isinstance(item_id, str) else None
            index = position if known is None else known
            if index not in self._whole:
                chunks += self.end_item(index, item)
        return chunks

    def finish(self, response: Mapping[str, Any]) -> Chunk:
        """Take the end of the answer."""
        model = response.get("model")
        return Chunk(
            finish_reason=read_finish_reason(
                response, refused=self._refused, called=bool(self._calls)
            ),
            usage=read_usage(response.get("usage")),
            model=model if isinstance(model, str) else None,
        )

    def _end_message(self, index: int, item: Mapping[str, Any]) -> list[Chunk]:
        chunks = []
        for number, part in enumerate(read_mappings(item, "content")):
            place: Place = (index, "text", number)
            if part.get("type") == "refusal":
                piece = self.rest(place, read_string(part, "refusal"))
                chunks.append(self.hear_refusal(place, piece))
            elif said := self.hear_whole_text(
                place, read_string(part, "text"), part.get("logprobs")
            ):
                chunks.append(said)
        return chunks

    def _end_reasoning(self, index: int, item: Mapping[str, Any]) -> list[Chunk]:
        chunks = []
        kinds: tuple[Kind, Kind] = ("summary", "content")
        for kind in kinds:
            for number, part in enumerate(read_mappings(item, kind)):
                place: Place = (index, kind, number)
                piece = self.rest(place, read_string(part, "text"))
                if thoughts := self.hear_thoughts(place, piece):
                    chunks.append(thoughts)
        content, item_id = item.get("encrypted_content"), item.get("id")
        if isinstance(content, str) and content:
            proof = unseal(item_id if isinstance(item_id, str) else "", content)
            if (proven := self._prove(proof)) is not None:
                chunks.append(Chunk(delta=proven))
        return chunks

    def _prove(
        self, proof: Thinking | CallSignature
    ) -> ThinkingDelta | ToolCallDelta | None:
        if isinstance(proof, Thinking):
            return ThinkingDelta("", proof.signature, proof.encrypted)
        if proof.call_id not in self._call_ids:
            return None
        call = self._call_ids.index(proof.call_id)
        return ToolCallDelta(call, signature=proof.signature)


def _read_logprobs(logprobs: object) -> tuple[Mapping[str, Any], ...] | None:
    if not isinstance(logprobs, list):
        return None
    return tuple([each for each in logprobs if isinstance(each, dict)]) or None
