"""Thought signatures: how the sandbox knows again what it has thought.

Source: the Gemini API's page "Thought signatures".
"""

import base64
import hashlib

from llm_proxy.providers.sandbox.gemini.json_form import bytes_of

NO_SIGNATURE = "skip_thought_signature_validator"
"""What stands at a call that another model has made."""

_SIZE = 16


def sign(answer_id: str) -> str:
    """Make a signature.

    Args:
        answer_id: The answer that it is for.

    Returns:
        Base64.
    """
    thoughts = hashlib.sha256(answer_id.encode()).digest()[:_SIZE]
    return base64.b64encode(thoughts + _seal(thoughts)).decode()


def is_genuine(signature: str) -> bool:
    """Find out whether the sandbox has made a signature.

    Args:
        signature: Base64.

    Returns:
        Whether it is one of `sign`.
    """
    data = bytes_of(signature) or b""
    return data[_SIZE:] == _seal(data[:_SIZE])


def _seal(thoughts: bytes) -> bytes:
    return hashlib.sha256(b"thought by the sandbox: " + thoughts).digest()[:_SIZE]
