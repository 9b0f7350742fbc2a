"""How the three dialects ask for the same thing, as their references write it."""

import base64
from collections.abc import Mapping
from typing import Any

CHAT = "openai_chat"
RESPONSES = "openai_responses"
MESSAGES = "anthropic_messages"
DIALECTS = (CHAT, RESPONSES, MESSAGES)

Words = Mapping[str, Any]

PNG = base64.b64encode(b"pixels").decode()
PDF = base64.b64encode(b"pages").decode()
WAV = base64.b64encode(b"noise").decode()
IMAGE_URL = "https://pictures.example/cat.png"

TRIP = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "enum": ["Paris", "Rome"]},
        "days": {"type": "integer"},
    },
    "required": ["city", "days"],
    "additionalProperties": False,
}
NOTHING = {"type": "object", "properties": {}}
_FUNCTIONS = (
    {"name": "weather", "parameters": TRIP},
    {"name": "time", "parameters": NOTHING},
)

IMAGE: Words = {
    CHAT: {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{PNG}"},
    },
    RESPONSES: {
        "type": "input_image",
        "image_url": f"data:image/png;base64,{PNG}",
        "detail": "auto",
    },
    MESSAGES: {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": PNG},
    },
}
REMOTE_IMAGE: Words = {
    CHAT: {"type": "image_url", "image_url": {"url": IMAGE_URL}},
    RESPONSES: {"type": "input_image", "image_url": IMAGE_URL, "detail": "auto"},
    MESSAGES: {"type": "image", "source": {"type": "url", "url": IMAGE_URL}},
}
DOCUMENT: Words = {
    CHAT: {
        "type": "file",
        "file": {
            "filename": "report.pdf",
            "file_data": f"data:application/pdf;base64,{PDF}",
        },
    },
    RESPONSES: {
        "type": "input_file",
        "filename": "report.pdf",
        "file_data": f"data:application/pdf;base64,{PDF}",
    },
    MESSAGES: {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
    },
}
AUDIO: Words = {
    CHAT: {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}},
}
TEXT: Words = {
    CHAT: {"type": "text", "text": "Look"},
    RESPONSES: {"type": "input_text", "text": "Look"},
    MESSAGES: {"type": "text", "text": "Look"},
}

TOOLS: Words = {
    CHAT: [{"type": "function", "function": each} for each in _FUNCTIONS],
    RESPONSES: [{"type": "function", "strict": False} | each for each in _FUNCTIONS],
    MESSAGES: [
        {"name": each["name"], "input_schema": each["parameters"]}
        for each in _FUNCTIONS
    ],
}
CHOICES: Mapping[str, Words] = {
    "auto": {CHAT: "auto", RESPONSES: "auto", MESSAGES: {"type": "auto"}},
    "none": {CHAT: "none", RESPONSES: "none", MESSAGES: {"type": "none"}},
    "required": {CHAT: "required", RESPONSES: "required", MESSAGES: {"type": "any"}},
    "named": {
        CHAT: {"type": "function", "function": {"name": "time"}},
        RESPONSES: {"type": "function", "name": "time"},
        MESSAGES: {"type": "tool", "name": "time"},
    },
}
ONE_AT_A_TIME: Words = {
    CHAT: {"parallel_tool_calls": False},
    RESPONSES: {"parallel_tool_calls": False},
    MESSAGES: {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
}
SHELL: Words = {
    CHAT: {"type": "custom", "custom": {"name": "shell", "description": "Runs it"}},
    RESPONSES: {"type": "custom", "name": "shell", "description": "Runs it"},
}
HOSTED_TOOL: Words = {
    RESPONSES: {"type": "web_search"},
    MESSAGES: {"type": "web_search_20250305", "name": "web_search"},
}

SCHEMA: Words = {
    CHAT: {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "trip", "schema": TRIP, "strict": True},
        }
    },
    RESPONSES: {
        "text": {
            "format": {
                "type": "json_schema",
                "name": "trip",
                "schema": TRIP,
                "strict": True,
            }
        }
    },
    MESSAGES: {"output_config": {"format": {"type": "json_schema", "schema": TRIP}}},
}
ANY_JSON: Words = {
    CHAT: {"response_format": {"type": "json_object"}},
    RESPONSES: {"text": {"format": {"type": "json_object"}}},
}
THINKING: Words = {
    CHAT: {"reasoning_effort": "low"},
    RESPONSES: {
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    },
    MESSAGES: {
        "thinking": {"type": "enabled", "budget_tokens": 1024, "display": "summarized"}
    },
}
SYSTEM: Words = {
    CHAT: {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello there"},
        ]
    },
    RESPONSES: {"instructions": "Be brief.", "input": "Hello there"},
    MESSAGES: {
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Hello there"}],
        "max_tokens": 4096,
    },
}
DEVELOPER: Words = {
    CHAT: {
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "Hello there"},
        ]
    },
    RESPONSES: {
        "input": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "Hello there"},
        ]
    },
}
CACHED: Words = {
    MESSAGES: {
        "system": [
            {
                "type": "text",
                "text": "Be a poet",
                "cache_control": {"type": "ephemeral"},
            }
        ]
    },
}
STOP: Words = {
    CHAT: {"stop": ["zebra", "read"]},
    MESSAGES: {"stop_sequences": ["zebra", "read"]},
}
AT_MOST: Words = {
    CHAT: {"max_completion_tokens": 16},
    RESPONSES: {"max_output_tokens": 16},
    MESSAGES: {"max_tokens": 16},
}
LOGPROBS: Words = {
    CHAT: {"logprobs": True, "top_logprobs": 2},
    RESPONSES: {"top_logprobs": 2, "include": ["message.output_text.logprobs"]},
}
USER: Words = {
    CHAT: {"user": "user-7"},
    RESPONSES: {"user": "user-7"},
    MESSAGES: {"metadata": {"user_id": "user-7"}},
}
SAMPLING: Words = {
    CHAT: {"temperature": 0.5, "top_p": 0.9},
    RESPONSES: {"temperature": 0.5, "top_p": 0.9},
    MESSAGES: {"extra_body": {"temperature": 0.5, "top_p": 0.9}},
}
PENALTIES: Words = {CHAT: {"frequency_penalty": 0.5, "presence_penalty": 0.5}}
TOP_K: Words = {MESSAGES: {"extra_body": {"top_k": 5}}}
SEED: Words = {CHAT: {"seed": 7}}
VERBOSITY: Words = {
    CHAT: {"verbosity": "low"},
    RESPONSES: {"text": {"verbosity": "low"}},
}
CHOICES_OF_ANSWERS: Words = {CHAT: {"n": 2}}
# Fields that one vendor knows and no other does.
UNKNOWN: Words = {
    CHAT: {"prompt_cache_key": "key-7"},
    RESPONSES: {"prompt_cache_retention": "24h"},
    MESSAGES: {"extra_body": {"inference_geo": "eu"}},
}
