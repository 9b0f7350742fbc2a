"""Every model of the sandbox does in these dialects what its name says."""

import json
import re
from functools import partial
from itertools import product

import httpx
import orjson
import pytest
from botocore.eventstream import EventStreamBuffer, EventStreamMessage, ParserError

from llm_proxy.providers.sandbox import MODELS

MOST_BYTES = 1_000_000
EVENT_STREAM = "application/vnd.amazon.eventstream"


def read_gemini(response: httpx.Response, stream: bool) -> list[dict]:
    if not stream:
        return [orjson.loads(response.content)]
    text = response.content.decode()
    assert "\n{" not in text
    lines = re.findall(r"^data: (.*?)\r?$", text, re.MULTILINE)
    return [orjson.loads(line) for line in lines]


def read_converse(response: httpx.Response, stream: bool) -> list[dict]:
    if not stream:
        return [orjson.loads(response.content)]
    return [orjson.loads(message.payload) for message in read_frames(response.content)]


def read_frames(body: bytes) -> list[EventStreamMessage]:
    """Reads an event stream as Amazon's own client does."""
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    messages = [*buffer]
    assert not buffer._data
    kinds = {message.headers[":message-type"] for message in messages}
    assert kinds == {"event"}
    return messages


VENDORS = {
    "gemini": (read_gemini, "text/event-stream", '"finishReason": "'),
    "converse": (read_converse, EVENT_STREAM, '"stopReason": "'),
}


@pytest.fixture
def asks(gemini, converse):
    """Asks either vendor."""
    return {"gemini": gemini, "converse": converse}


def check_answer(vendor_name: str, response: httpx.Response, stream: bool) -> None:
    """Checks what every client has to check before it trusts an answer."""
    read, media_type, ending = VENDORS[vendor_name]
    assert response.status_code == 200
    assert len(response.content) < MOST_BYTES
    kind = media_type if stream else "application/json"
    assert response.headers["content-type"].startswith(kind)
    text = json.dumps(read(response, stream))
    assert ending in text
    assert not re.search(r'"text": [^"]', text)
    assert re.search(r'"text": "[^"]|"toolUse"|"functionCall"', text)


async def test_a_model_completes_its_answer_unless_it_is_a_fault(
    vendor, asks, name, persist
):
    vendor.timeout = httpx.Timeout(10, read=0.15 if "fault" in name else 10)
    for vendor_name, stream in product(VENDORS, (False, True)):
        fails = name.startswith("fault-") or MODELS[name].streams_only > stream
        try:
            response = await persist(partial(asks[vendor_name], stream=stream))
            check_answer(vendor_name, response, stream)
        except (AssertionError, ValueError, ParserError, httpx.RequestError):
            assert fails, (vendor_name, stream)
        else:
            assert not fails, (vendor_name, stream)


@pytest.mark.parametrize("vendor_name", VENDORS)
async def test_flaky_counts_every_model_and_way_for_itself(asks, vendor_name):
    ask = asks[vendor_name]
    calls = [("flaky-1", False), ("x.flaky-1", False), ("flaky-1", True)]
    statuses = [(await ask(*call)).status_code for call in calls * 2]
    assert statuses == [503, 503, 503, 200, 200, 200]


async def test_a_huge_frame_is_in_order(converse):
    frames = read_frames((await converse("fault-huge-1", True)).content)
    assert max(len(frame.payload) for frame in frames) > 2**20


async def test_a_broken_frame_stands_among_good_ones(converse):
    body = (await converse("fault-malformed", True)).content
    good = (await converse("sandbox", True)).content
    with pytest.raises(ParserError):
        read_frames(body)
    assert len(body) > len(good)
    assert body.startswith(good[:100])
