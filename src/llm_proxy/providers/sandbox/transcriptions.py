"""OpenAI's ``POST /v1/audio/transcriptions`` and ``…/translations``, as a server.

The sandbox does not listen: it tells the name and the size of the file.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from llm_proxy.providers.sandbox.body import (
    File,
    Form,
    as_list,
    read_form,
)
from llm_proxy.providers.sandbox.conversation import Answer, Question, Tokens
from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.endpoint import (
    OPENAI,
    Asked,
    ReceivedRequest,
    as_json,
)
from llm_proxy.providers.sandbox.event import data_event
from llm_proxy.providers.sandbox.reply import Reply

_SECONDS = 1.0

_Texts = Annotated[Sequence[str], BeforeValidator(as_list)]


class _Translation(Form):
    model: str
    file: File
    response_format: Literal["json", "text", "verbose_json"] = "json"
    temperature: float = Field(0, ge=0, le=1)
    prompt: str | None = None


class _Transcription(_Translation):
    language: str | None = None
    stream: bool = False
    chunking_strategy: str | None = None
    include: _Texts = ()
    timestamp_granularities: _Texts = ()


def read_transcription(request: ReceivedRequest) -> Asked | Problem:
    """Read a request to write down what is said.

    Args:
        request: The request.

    Returns:
        What is asked.
    """
    body = read_form(_Transcription, request)
    if isinstance(body, Problem):
        return body
    if body.stream:
        return Asked(_question(body, stream=True), render=_as_events)
    verbose = {"task": "transcribe", "language": body.language or "english"}
    return _asked(body, verbose)


def read_translation(request: ReceivedRequest) -> Asked | Problem:
    """Read a request to write down in English what is said.

    Args:
        request: The request.

    Returns:
        What is asked.
    """
    body = read_form(_Translation, request)
    if isinstance(body, Problem):
        return body
    return _asked(body, {"task": "translate", "language": "english"})


def _asked(body: _Translation, verbose: dict[str, Any]) -> Asked:
    def write(answer: Answer) -> dict[str, Any]:
        if body.response_format == "json":
            return {"text": answer.text} | _usage(answer.tokens)
        return verbose | _details(answer)

    render = _as_text if body.response_format == "text" else as_json(write)
    return Asked(_question(body, stream=False), render=render)


def _question(body: _Translation, *, stream: bool) -> Question:
    text = f"{body.file.name}, {len(body.file.content)} bytes"
    return Question(body.model, text, int(_SECONDS), None, stream=stream)


def _as_text(answer: Answer) -> Reply:
    headers = {
        "content-type": "text/plain; charset=utf-8",
        OPENAI.request_id_header: f"req_{answer.id}",
    }
    return Reply(200, headers, (f"{answer.text or ''}\n".encode(),))


def _as_events(answer: Answer) -> Reply:
    events = [
        data_event({"type": "transcript.text.delta", "delta": piece})
        for piece in answer.pieces or ()
    ]
    if answer.ending is not None:
        done = {"type": "transcript.text.done", "text": answer.text}
        events.append(data_event(done | _usage(answer.tokens)))
    headers = {
        "content-type": "text/event-stream; charset=utf-8",
        OPENAI.request_id_header: f"req_{answer.id}",
    }
    return Reply(200, headers, tuple(events))


def _details(answer: Answer) -> dict[str, Any]:
    segment: dict[str, Any] = {
        "id": 0,
        "seek": 0,
        "start": 0.0,
        "end": _SECONDS,
        "text": answer.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": -0.1,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }
    return {
        "duration": _SECONDS,
        "text": answer.text,
        "segments": [segment],
        "usage": {"type": "duration", "seconds": _SECONDS},
    }


def _usage(tokens: Tokens | None) -> dict[str, Any]:
    if tokens is None:
        return {}
    usage = {
        "type": "tokens",
        "input_tokens": tokens.input,
        "input_token_details": {"text_tokens": 0, "audio_tokens": tokens.input},
        "output_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
    }
    return {"usage": usage}
