"""What the sandbox thinks before it answers, and how it knows its thoughts again."""

import base64
import hashlib
from dataclasses import replace

from llm_proxy.providers.sandbox.conversation import Question, Thinking
from llm_proxy.providers.sandbox.dialect import count_words, cut_words


def think_about(question: Question) -> Thinking | None:
    """Think about a question.

    Args:
        question: What was asked.

    Returns:
        The thoughts, cut to the tokens that the question allows, and not told if it
        says so; None if it asks for none.
    """
    if question.thinking == "off":
        return None
    words = count_words(question.text)
    text = f"The user wrote {words} words, so a short answer will do."
    thoughts = cut_words(text)[: question.max_tokens]
    told = () if question.thinking == "omitted" else thoughts
    return Thinking(told, len(thoughts), sign("".join(told)))


def redacted(thinking: Thinking) -> Thinking:
    """Encrypt thoughts.

    Args:
        thinking: The thoughts.

    Returns:
        As many thoughts, with `REDACTED` in place of their text.
    """
    return replace(thinking, pieces=(), signature=REDACTED, redacted=True)


def sign(thought: str) -> str:
    """Sign a thought, so that nobody can give the sandbox thoughts it never had.

    Args:
        thought: Its text, as far as it is told.

    Returns:
        The same signature for the same text.
    """
    digest = hashlib.sha256(f"thought by the sandbox: {thought}".encode()).digest()
    return base64.b64encode(digest).decode()


REDACTED = sign("a text that nobody may read")
"""What stands for every encrypted thought."""
