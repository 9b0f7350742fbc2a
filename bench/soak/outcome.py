"""What came of a request, in a word.

``whole`` is a whole answer, a number the status of a clean error, ``broken`` a stream
that ends with an error, ``left`` a caller who hung up. Everything else is a defect.
"""

import orjson

from bench.soak.caller import Reply
from bench.soak.cases import Sent


def judge(sent: Sent, reply: Reply) -> str:
    """Says what came of a request.

    Args:
        sent: The request.
        reply: What came back.

    Returns:
        A word as above, or a few that say what is wrong.
    """
    if reply.status == -1:
        return "no end in time"
    if reply.status == 0:
        return "no answer"
    if reply.status != 200:
        return _judge_error(sent, reply)
    if reply.streamed != sent.stream:
        return "a stream nobody asked for" if reply.streamed else "no stream"
    ended = _judge_stream(sent, reply) if sent.stream else _judge_body(reply)
    if ended == "whole" and sent.proof not in reply.body:
        return "whole without its content"
    return ended


def _judge_error(sent: Sent, reply: Reply) -> str:
    # What the server refuses below the application, and unknown paths outside of /v1,
    # have the native envelope.
    value = _parse(reply.body)
    for key in sent.road.surface.error:
        value = value.get(key) if isinstance(value, dict) else None
    clean = reply.whole and isinstance(value, str) and bool(value)
    return str(reply.status) if clean else f"{reply.status} without words"


def _judge_body(reply: Reply) -> str:
    if not reply.whole:
        return "cut off"
    return "whole" if isinstance(_parse(reply.body), dict) else "not JSON"


def _judge_stream(sent: Sent, reply: Reply) -> str:
    surface = sent.road.surface
    last = b"\n" + b"\n\n".join(reply.body.rstrip(b"\n").split(b"\n\n")[-2:])
    ends = any(b"\n" + mark in last for mark in surface.ending)
    breaks = any(b"\n" + mark in last for mark in surface.broken)
    if ends and breaks:
        return "whole and broken at once"
    if not (ends or breaks) or not reply.whole:
        return "cut off"
    return "whole" if ends else "broken"


def _parse(body: bytes) -> object:
    try:
        value: object = orjson.loads(body)
        return value
    except orjson.JSONDecodeError:
        return None
