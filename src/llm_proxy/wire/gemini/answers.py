"""Reads answers of the Gemini API, complete and in pieces.

A piece of a stream has the same form as a complete answer, so both are read by one
reader, and what is streamed equals what is not.

Source: the Gemini API reference, "GenerateContentResponse".
"""

import re
import secrets
from collections.abc import Mapping
from typing import Any

import orjson

from llm_proxy.types import (
    ChatResponse,
    Chunk,
    FinishReason,
    ThinkingDelta,
    ToolCallDelta,
)
from llm_proxy.wire.dialect import UpstreamFaultError, WireError
from llm_proxy.wire.error_detail import error_detail
from llm_proxy.wire.gathering import gather
from llm_proxy.wire.gemini.logprobs import read_logprobs
from llm_proxy.wire.gemini.signatures import seal_signature
from llm_proxy.wire.gemini.usage import read_usage
from llm_proxy.wire.reading import read_mapping, read_mappings, read_object, read_string

_FINISH_REASONS: Mapping[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "OTHER": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "IMAGE_OTHER": "content_filter",
}
# The model wrote something that is no answer, and the API withholds it.
_FAILURES = frozenset(
    (
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
        "NO_IMAGE",
        "TOO_MANY_TOOL_CALLS",
        "UNEXPECTED_TOOL_CALL",
    )
)
# What every caller's dialect takes as part of the id of a call.
_ID = re.compile(r"[A-Za-z0-9_-]{1,30}")


def read_answer(body: bytes) -> ChatResponse:
    """Read a complete answer; see `Gemini.decode_response`.

    Args:
        body: The upstream's bytes.

    Returns:
        The answer.

    Raises:
        UpstreamFaultError: The body is an error.
        WireError: The body is not an answer.
    """
    reader = AnswerReader()
    chunks = reader.read(read_object(body))
    chunks.append(reader.finish())
    return gather(chunks)


class AnswerReader:
    """Turns the JSON objects of one answer into chunks.

    Attributes:
        ended: Whether no object can add to the answer, because it was cut off. ``STOP``
            does not say so: there are models that say it in every piece.
    """

    def __init__(self) -> None:
        self.ended = False
        self._begun = False
        self._finish_reason: FinishReason | None = None
        self._usage: object = None
        self._call_id = ""
        self._calls = 0
        self._has_thoughts = False

    def read(self, answer: Mapping[str, Any]) -> list[Chunk]:
        """Take the next object, or the only one.

        Args:
            answer: A ``GenerateContentResponse``.

        Returns:
            What it says, without the finish reason.

        Raises:
            UpstreamFaultError: It is an error.
            WireError: It says that the answer has failed.
        """
        if answer.get("error"):
            raise UpstreamFaultError(error_detail(answer["error"]))
        chunks: list[Chunk] = []
        if "usageMetadata" in answer:
            self._usage = answer["usageMetadata"]
        if not self._begun:
            self._begin(answer, chunks)
        candidates = read_mappings(answer, "candidates")
        if candidates:
            self._read_candidate(candidates[0], chunks)
        else:
            feedback = answer.get("promptFeedback")
            if isinstance(feedback, dict) and feedback.get("blockReason"):
                self._finish_reason = "content_filter"
                self.ended = True
        return chunks

    def finish(self) -> Chunk:
        """Take the end of the answer.

        It is not told before, because what the API calls the finish reason may stand in
        several pieces.

        Returns:
            The finish reason and the usage.

        Raises:
            WireError: No finish reason has come.
        """
        if self._finish_reason is None:
            raise WireError("the answer has no finish reason")
        finish_reason = self._finish_reason
        if finish_reason == "stop" and self._calls:
            finish_reason = "tool_calls"
        return Chunk(finish_reason=finish_reason, usage=read_usage(self._usage))

    def _begin(self, answer: Mapping[str, Any], chunks: list[Chunk]) -> None:
        self._begun = True
        response_id = answer.get("responseId")
        if not (isinstance(response_id, str) and _ID.fullmatch(response_id)):
            response_id = secrets.token_hex(12)
        self._call_id = f"call_{response_id}_"
        model = answer.get("modelVersion")
        # The first report is kept for streams that break off.
        usage = read_usage(self._usage)
        chunks.append(
            Chunk(model=model if isinstance(model, str) else None, usage=usage)
        )

    def _read_candidate(self, candidate: dict[str, Any], chunks: list[Chunk]) -> None:
        for part in read_mappings(read_mapping(candidate, "content"), "parts"):
            self._read_part(part, chunks)
        if "logprobsResult" in candidate:
            _add_logprobs(read_logprobs(candidate["logprobsResult"]), chunks)
        reason = candidate.get("finishReason")
        if isinstance(reason, str) and reason:
            if reason in _FAILURES:
                raise WireError(f"the answer has failed: {reason}")
            self._finish_reason = _FINISH_REASONS.get(reason, "stop")
            self.ended = self._finish_reason != "stop"

    def _read_part(self, part: dict[str, Any], chunks: list[Chunk]) -> None:
        text = read_string(part, "text")
        if part.get("thought") is True:
            self._has_thoughts = True
            self._read_thoughts(text, part, chunks)
            return
        if text:
            chunks.append(Chunk(text))
        if "functionCall" in part:
            self._read_call(part, chunks)
        elif self._has_thoughts:
            # Nobody has to send back what vouches for a text, so it is only told where
            # the caller sees thoughts anyway.
            self._read_thoughts("", part, chunks)

    def _read_thoughts(
        self, text: str, part: dict[str, Any], chunks: list[Chunk]
    ) -> None:
        signature = seal_signature(_read_signature(part))
        if text or signature:
            chunks.append(Chunk(delta=ThinkingDelta(text, signature)))

    def _read_call(self, part: dict[str, Any], chunks: list[Chunk]) -> None:
        call = part["functionCall"]
        name = call.get("name") if isinstance(call, dict) else None
        if not isinstance(name, str) or not name:
            raise WireError("a function call has no name")
        args = call.get("args")
        if args is None:
            args = {}
        if not isinstance(args, dict):
            raise WireError("the arguments of a function call are no object")
        call_id = call.get("id")
        if not isinstance(call_id, str) or not call_id:
            call_id = f"{self._call_id}{self._calls}"
        delta = ToolCallDelta(
            self._calls,
            call_id,
            name,
            orjson.dumps(args).decode(),
            signature=_read_signature(part),
        )
        self._calls += 1
        chunks.append(Chunk(delta=delta))


def _add_logprobs(
    logprobs: tuple[Mapping[str, Any], ...] | None, chunks: list[Chunk]
) -> None:
    """Put the probabilities of one piece to its text."""
    if logprobs is not None:
        for position, chunk in enumerate(chunks):
            if chunk.text:
                chunks[position] = chunk._replace(logprobs=logprobs)
                return
        chunks.append(Chunk(logprobs=logprobs))


def _read_signature(part: dict[str, Any]) -> str:
    signature = part.get("thoughtSignature")
    return signature if isinstance(signature, str) else ""
