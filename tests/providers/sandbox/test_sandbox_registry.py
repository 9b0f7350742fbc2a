import json
import re
from functools import partial
from itertools import product
from pathlib import Path

import httpx
import orjson

from llm_proxy.providers.sandbox import MODELS

OPENAI = "/chat/completions"
ANTHROPIC = "/messages"
DOCS = Path(__file__).parents[3] / "docs" / "sandbox.md"
MOST_BYTES = 1_000_000


class IncompleteError(Exception):
    """What came is not a complete answer."""


def read_strictly(path: str, response: httpx.Response, stream: bool) -> None:
    """Checks what every client has to check before it trusts an answer."""
    if response.status_code != 200:
        raise IncompleteError(response.status_code)
    if len(response.content) > MOST_BYTES:
        raise IncompleteError("too large")
    kind = "text/event-stream" if stream else "application/json"
    if response.headers["content-type"].partition(";")[0] != kind:
        raise IncompleteError(response.headers["content-type"])
    try:
        body = response.content
        answers = read_events(body) if stream else [orjson.loads(body)]
        read = read_openai if path == OPENAI else read_anthropic
        read(answers, "delta" if stream else "message")
    except (ValueError, AttributeError, TypeError) as error:
        raise IncompleteError("malformed") from error


def read_events(body: bytes) -> list[dict]:
    lines = re.findall(r"^data: (.*?)\r?$", body.decode(), re.MULTILINE)
    return [orjson.loads(line) for line in lines if line != "[DONE]"]


def read_openai(answers: list[dict], key: str) -> None:
    if any("error" in answer for answer in answers):
        raise IncompleteError("error")
    choices = [choice for a in answers for choice in a.get("choices", [])]
    if not any(choice["finish_reason"] for choice in choices):
        raise IncompleteError("no finish reason")
    messages = [choice[key] for choice in choices]
    fields = ("content", "refusal", "tool_calls")
    said = [message.get(field) for message in messages for field in fields]
    if not all(isinstance(content, str | list | None) for content in said):
        raise IncompleteError("what it says is no text")
    if not any(said):
        raise IncompleteError("no content")


def read_anthropic(answers: list[dict], key: str) -> None:
    if any("error" in answer for answer in answers):
        raise IncompleteError("error")
    text = json.dumps(answers)
    if not re.search(r'"stop_reason": "', text):
        raise IncompleteError("no stop reason")
    if re.search(r'"text": [^"]', text):
        raise IncompleteError("what it says is no text")
    if not re.search(r'"text": "[^"]|"tool_use"', text):
        raise IncompleteError("no content")


async def test_a_model_completes_its_answer_unless_it_is_a_fault(
    client, ask, name, persist
):
    client.timeout = httpx.Timeout(10, read=0.15 if "fault" in name else 10)
    for path, stream in product((OPENAI, ANTHROPIC), (False, True)):
        fails = name.startswith("fault-") or MODELS[name].streams_only > stream
        try:
            response = await persist(partial(ask, path, stream=stream))
            read_strictly(path, response, stream)
        except (IncompleteError, httpx.RequestError):
            assert fails, (path, stream)
        else:
            assert not fails, (path, stream)


def test_the_docs_list_every_model():
    row = r"^\| `([a-z0-9-]+?)(-N)?` \| ?(\d*) ?\| (.*?)(; streams only)? \|$"
    documented = {
        name: (summary, int(number) if number else None, bool(streams_only), bool(n))
        for name, n, number, summary, streams_only in re.findall(
            row, DOCS.read_text(), re.MULTILINE
        )
    }
    assert documented == {
        name: (m.summary, m.number, m.streams_only, m.number is not None)
        for name, m in MODELS.items()
    }
