"""How a question is put: a surface of the service and a provider behind it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Fields = dict[str, Any]

_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
_TOOL = {"name": "forecast", "description": "Looks up the weather."}


@dataclass(frozen=True, slots=True)
class Surface:
    """An API that the service offers, as one of its callers knows it.

    Attributes:
        path: Where questions go.
        body: Makes a body of model, text and whether to stream.
        tools: What a body has besides, so that the model may call a tool.
        ending: What every whole stream has in its last events.
        broken: What a stream has in its last events if it ends with an error.
        error: Keys down to the words of an error.
    """

    path: str
    body: Callable[[str, str], Fields]
    tools: Mapping[str, Any]
    ending: tuple[bytes, ...]
    broken: tuple[bytes, ...]
    error: tuple[str, ...] = ("error", "message")


def _chat(model: str, text: str) -> Fields:
    provider, _, name = model.rpartition("/")
    return {"provider": provider or "llm-proxy", "model": name, "prompt": text}


def _completion(model: str, text: str) -> Fields:
    messages = [
        {"role": "system", "content": "Answer in one sentence."},
        {"role": "user", "content": text},
    ]
    return {"model": model, "max_tokens": 500, "messages": messages}


def _message(model: str, text: str) -> Fields:
    messages = [{"role": "user", "content": [{"type": "text", "text": text}]}]
    return {"model": model, "max_tokens": 500, "messages": messages}


def _response(model: str, text: str) -> Fields:
    return {"model": model, "store": False, "input": text}


CHAT = Surface("/chat", _chat, {}, (b"event: done",), (b"event: error",))
COMPLETIONS = Surface(
    "/v1/chat/completions",
    _completion,
    {"tools": [{"type": "function", "function": {**_TOOL, "parameters": _SCHEMA}}]},
    (b"data: [DONE]",),
    (b'data: {"error"',),
)
MESSAGES = Surface(
    "/v1/messages",
    _message,
    {"tools": [{**_TOOL, "input_schema": _SCHEMA}]},
    (b"event: message_stop",),
    (b"event: error",),
)
RESPONSES = Surface(
    "/v1/responses",
    _response,
    {"tools": [{**_TOOL, "type": "function", "parameters": _SCHEMA, "strict": False}]},
    (b"event: response.completed", b"event: response.incomplete"),
    (b"event: error", b"event: response.failed"),
)


@dataclass(frozen=True, slots=True)
class Road:
    """A surface and who answers there.

    Attributes:
        surface: The surface.
        provider: The provider that is asked; empty if the model is an alias.
    """

    surface: Surface
    provider: str

    def question(self, model: str, text: str, **more: object) -> bytes:
        """Returns the body of a question.

        Args:
            model: The provider's model, or an alias.
            text: What is asked.
            **more: Other fields.
        """
        name = f"{self.provider}/{model}" if self.provider else model
        return json.dumps(self.surface.body(name, text) | more).encode()


RELAYS = (
    Road(COMPLETIONS, "openai"),
    Road(COMPLETIONS, "sandbox"),
    Road(MESSAGES, "anthropic"),
    Road(RESPONSES, "openai"),
)
TRANSLATIONS = (
    Road(COMPLETIONS, "anthropic"),
    Road(COMPLETIONS, "gemini"),
    Road(COMPLETIONS, "bedrock"),
    Road(MESSAGES, "openai"),
    Road(MESSAGES, "gemini"),
    Road(RESPONSES, "anthropic"),
)
NATIVE = tuple(
    Road(CHAT, name) for name in ("openai", "sandbox", "anthropic", "gemini", "bedrock")
)
# Their keys are never right, so that no other provider's key falls into disrepute.
REVOKED = (
    *(Road(each, "revoked") for each in (CHAT, COMPLETIONS, RESPONSES)),
    Road(MESSAGES, "revoked-too"),
)
V1 = (*RELAYS, *TRANSLATIONS)
ALL = (*NATIVE, *V1)
ALIASES = tuple(Road(each, "") for each in (CHAT, COMPLETIONS, MESSAGES, RESPONSES))
