"""What belongs together, so that one deployment's prompt cache serves it."""

import re
import time
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import orjson

from llm_proxy.config import AffinityConfig

# Caches begin at the beginning; what follows differs from turn to turn.
_PREFIX_FIELDS = ("system", "instructions", "tools")
_TURN_FIELDS = ("messages", "input", "prompt")
# The mark of what is to be cached moves on from turn to turn.
_CACHE_MARK = re.compile(rb',"cache_control":\{[^{}]*\}|"cache_control":\{[^{}]*\},')
_CONVERSATION_FIELDS = ("prompt_cache_key", "conversation", "session_id")
_USER_FIELDS = ("safety_identifier", "user", "user_id")


def session_of(
    affinity: AffinityConfig, owner: str, fields: Mapping[str, Any], header: str = ""
) -> bytes:
    """Name the session that a call belongs to.

    No table is kept: equal sessions have equal names in every process, and names
    change when the time is up, for each session at another moment.

    Args:
        affinity: By what, and for how long.
        owner: Who calls; sessions of two callers are never one.
        fields: What is asked, in the dialect it came in.
        header: What the caller calls the session.

    Returns:
        A digest of 16 bytes.
    """
    digest = blake2b(owner.encode() + b"\0", digest_size=16)
    digest.update(_of_caller(affinity.by, fields, header))
    moment = int.from_bytes(digest.digest()[:4]) / 2**32
    period = int(time.time() / affinity.ttl + moment)
    digest.update(b"%d" % period)
    return digest.digest()


def _of_caller(by: str, fields: Mapping[str, Any], header: str) -> bytes:
    if by == "user":
        return _first_text(fields, _USER_FIELDS).encode(errors="replace")
    if by == "conversation":
        told = header or _first_text(fields, _CONVERSATION_FIELDS)
        if told:
            return told.encode(errors="replace")
    prefix = {name: fields.get(name) for name in _PREFIX_FIELDS}
    turns = next(filter(None, map(fields.get, _TURN_FIELDS)), None)
    prefix["turns"] = _opening(turns) if isinstance(turns, list) else turns
    return _CACHE_MARK.sub(b"", orjson.dumps(prefix))


def _opening(turns: list[Any]) -> list[Any]:
    """Take the turns up to the first of the user, which all later calls repeat."""
    for number, turn in enumerate(turns, 1):
        if isinstance(turn, dict) and turn.get("role") == "user":
            return turns[:number]
    return turns[:1]


def _first_text(fields: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """Find the first of several fields, also where metadata has it."""
    metadata = fields.get("metadata")
    for values in (fields, metadata if isinstance(metadata, dict) else {}):
        for name in names:
            value = values.get(name)
            if isinstance(value, dict):
                value = value.get("id")
            if isinstance(value, str) and value:
                return value
    return ""
