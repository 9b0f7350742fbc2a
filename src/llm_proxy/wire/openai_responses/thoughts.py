"""Thoughts as reasoning items, and what callers bring back of them.

Proofs of thoughts travel through callers, who return what they do not understand as it
is, and conversations move between vendors, each of which refuses the proofs of others.
So what an item carries in ``encrypted_content`` is marked: by the writer of an answer
with what it is, by the reader of OpenAI's answers with where it is from.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from llm_proxy.types import Thinking, ToolCall

_SIGNATURE = "signature:"
_ENCRYPTED = "encrypted:"
_CALL = "call:"
_OPENAI = "openai:"
BETWEEN_SUMMARIES = "\n\n"


class CallSignature(NamedTuple):
    """The proof of the thoughts behind a tool call, and which call that is."""

    call_id: str
    signature: str


def seal(thinking: Thinking) -> str:
    """Write what proves thoughts, for callers to bring back.

    Args:
        thinking: Thoughts of any vendor's model.

    Returns:
        A value of ``encrypted_content``; empty if there is nothing to prove.
    """
    if thinking.encrypted:
        return _ENCRYPTED + thinking.encrypted
    return thinking.signature and _SIGNATURE + thinking.signature


def seal_call(call: ToolCall) -> str:
    """Write the proof of the thoughts behind a tool call, for callers to bring back.

    A function call has no field for it, so it gets a reasoning item of its own.

    Args:
        call: A call with a signature.

    Returns:
        A value of ``encrypted_content``.
    """
    # The signature is base64; the id may be anything.
    return f"{_CALL}{call.signature}:{call.id}"


def unseal(item_id: str, content: str) -> Thinking | CallSignature:
    """Read ``encrypted_content``, whether we sealed it or it is OpenAI's own.

    Args:
        item_id: The id of the reasoning item; OpenAI checks that both belong together.
        content: What it carries.

    Returns:
        Thoughts without their text, or the proof that belongs to a call.
    """
    if content.startswith(_SIGNATURE):
        return Thinking(signature=content.removeprefix(_SIGNATURE))
    if content.startswith(_ENCRYPTED):
        return Thinking(encrypted=content.removeprefix(_ENCRYPTED))
    if content.startswith(_CALL):
        signature, _, call_id = content.removeprefix(_CALL).partition(":")
        return CallSignature(call_id, signature)
    return Thinking(encrypted=f"{_OPENAI}{item_id}:{content}")


def write_openai_thoughts(thinking: Thinking) -> dict[str, Any] | None:
    """Give OpenAI its own thoughts back.

    Args:
        thinking: Thoughts of any vendor's model.

    Returns:
        A reasoning item; None if they are not OpenAI's or cannot be proved.
    """
    if not thinking.encrypted.startswith(_OPENAI):
        return None
    item_id, _, content = thinking.encrypted.removeprefix(_OPENAI).partition(":")
    item: dict[str, Any] = {
        "type": "reasoning",
        "summary": write_summary(thinking.text),
        "encrypted_content": content,
    }
    if item_id:
        item["id"] = item_id
    return item


def write_summary(text: str) -> list[dict[str, str]]:
    """Write the readable part of thoughts.

    Args:
        text: The thoughts; may be empty.

    Returns:
        The value of ``summary``.
    """
    return [{"type": "summary_text", "text": text}] if text else []


def read_summary(item: Mapping[str, Any]) -> str:
    """Read the readable part of thoughts.

    Args:
        item: A reasoning item; models with open thoughts have them in ``content``.

    Returns:
        The summary, or else the thoughts; what is malformed counts as absent.
    """
    for name in ("summary", "content"):
        parts = item.get(name)
        if isinstance(parts, list):
            texts = [part.get("text") for part in parts if isinstance(part, dict)]
            found = [text for text in texts if isinstance(text, str) and text]
            if found:
                return BETWEEN_SUMMARIES.join(found)
    return ""
