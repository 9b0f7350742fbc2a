"""OpenAI's ``POST /v1/audio/speech``, from the server's side."""

import hashlib
from typing import Any, Literal

from pydantic import Field

from llm_proxy.providers.sandbox.body import read_json
from llm_proxy.providers.sandbox.conversation import Answer, Question
from llm_proxy.providers.sandbox.dialect import Problem, count_words
from llm_proxy.providers.sandbox.endpoint import OPENAI, Asked, ReceivedRequest
from llm_proxy.providers.sandbox.reply import Reply
from llm_proxy.providers.sandbox.strict import Strict

_MOST_CHARACTERS = 4096
_BYTES_OF_A_WORD = 256
_MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


class _Body(Strict):
    model: str
    input: str = Field(min_length=1, max_length=_MOST_CHARACTERS)
    voice: str | dict[str, Any]
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    stream_format: Literal["audio"] = "audio"
    speed: float = Field(1.0, ge=0.25, le=4)
    instructions: str | None = None


def read_speech(request: ReceivedRequest) -> Asked | Problem:
    """Read a request to say a text; the answer is noise, one chunk for every word.

    Args:
        request: The request.

    Returns:
        What is asked.
    """
    body = read_json(_Body, request.body)
    if isinstance(body, Problem):
        return body

    def render(answer: Answer) -> Reply:
        headers = {
            "content-type": _MEDIA_TYPES[body.response_format],
            OPENAI.request_id_header: f"req_{answer.id}",
        }
        return Reply(200, headers, tuple(map(_noise, answer.pieces or ())) or (b"",))

    words = count_words(body.input)
    # The answer is no stream of events, and yet one that can be cut between chunks.
    question = Question(body.model, body.input, words, None, stream=True)
    return Asked(question, render=render)


def _noise(word: str) -> bytes:
    return hashlib.shake_128(word.encode(errors="replace")).digest(_BYTES_OF_A_WORD)
