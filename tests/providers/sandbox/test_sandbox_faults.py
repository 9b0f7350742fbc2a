"""The bytes of each fault, and what becomes of the connection."""

import asyncio
import json
import re
import socket
import ssl
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
import pytest

from llm_proxy.providers.sandbox import UNREACHABLE, address_of

OPENAI = "/chat/completions"
ANTHROPIC = "/messages"
BOTH = pytest.mark.parametrize("path", [OPENAI, ANTHROPIC])
EITHER_WAY = pytest.mark.parametrize("stream", [False, True])
MIB = 2**20


@pytest.fixture
def raw(sandbox, build):
    """Sends a request, and tells what came and how it ended: eof, reset, silence."""

    async def raw(path: str, model: str, most: int = 2**25, **more):
        request = build(path, model, **more)
        lines = [f"POST {request.url.raw_path.decode()} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        lines += ["connection: close", "", ""]
        port = httpx.URL(await sandbox.start()).port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write("\r\n".join(lines).encode() + request.content)
        received = bytearray()
        try:
            while len(received) < most:
                async with asyncio.timeout(0.2):
                    data = await reader.read(2**16)
                if not data:
                    return bytes(received), "eof"
                received += data
        except TimeoutError:
            return bytes(received), "silence"
        except ConnectionResetError:
            return bytes(received), "reset"
        finally:
            writer.close()
        return bytes(received), "more"

    return raw


HEAD = rb"HTTP/1\.1 200 .*?\r\n\r\n"


@BOTH
@pytest.mark.parametrize(
    ("model", "ending", "plain", "streamed"),
    [
        ("fault-no-response", "eof", rb"", rb""),
        ("fault-reset", "reset", rb"", rb""),
        ("fault-hang", "silence", rb"", rb""),
        ("fault-hang-after-headers", "silence", HEAD, HEAD),
        ("fault-stalled", "silence", HEAD + rb".*\{.*", HEAD + rb".*The .*"),
        ("fault-cut", "eof", HEAD + rb".*\{.*", HEAD + rb".*The .*"),
        ("fault-reset-midway", "reset", HEAD + rb".*\{.*", HEAD + rb".*The .*"),
        ("fault-truncated", "eof", HEAD + rb"\{.*\}", HEAD + rb".*The .*"),
        (
            "fault-bad-chunk",
            "eof",
            HEAD + rb".*\r\nno size\r\n.*\r\n0\r\n\r\n",
            HEAD + rb".*The .*\r\nno size\r\n.*\r\n0\r\n\r\n",
        ),
        (
            "unasked-response",
            "eof",
            HEAD + rb".*\r\n0\r\n\r\n" + HEAD + rb"\{.*",
            HEAD + rb".*\r\n0\r\n\r\n" + HEAD + rb"\{.*",
        ),
    ],
)
async def test_the_connection_ends_as_the_name_says(
    raw, path, model, ending, plain, streamed
):
    for stream, expected in ((False, plain), (True, streamed)):
        received, ended = await raw(path, model, stream=stream)
        assert ended == ending
        assert re.fullmatch(expected, received, re.DOTALL)


async def test_a_truncated_body_is_shorter_than_was_said(raw):
    received, _ = await raw(OPENAI, "fault-truncated")
    head, _, body = received.partition(b"\r\n\r\n")
    assert int(re.search(rb"content-length: (\d+)", head)[1]) > len(body)
    assert json.loads(body)


@BOTH
async def test_drips_a_byte_at_a_time(raw, path):
    received, ended = await raw(path, "fault-drip-1", most=3000)
    assert ended == "more"
    assert received.endswith(b"1\r\n \r\n" * 9)
    received, _ = await raw(path, "fault-drip-1", most=5000, stream=True)
    assert b"1\r\nh\r\n1\r\ne\r\n1\r\nr\r\n1\r\ne\r\n" in received


@BOTH
@EITHER_WAY
async def test_goes_on_without_end(raw, path, stream):
    received, ended = await raw(path, "fault-endless", most=MIB, stream=stream)
    assert ended == "more"
    assert b"\r\n0\r\n\r\n" not in received
    if stream:
        lines = re.findall(rb"^data: (.*)$", received, re.MULTILINE)
        assert len({*lines[5:-1]}) == 1
        assert json.loads(lines[-2])


@pytest.mark.parametrize("model", UNREACHABLE)
async def test_nobody_is_where_unreachable_models_are(sandbox, model):
    url = httpx.URL(address_of(model, await sandbox.start()))
    tls = httpx.create_ssl_context() if url.scheme == "https" else None
    errors = {
        "fault-refused": ConnectionRefusedError,
        "fault-dns": socket.gaierror,
        "fault-tls": ssl.SSLError,
        "fault-connect-hang": TimeoutError,
    }
    with pytest.raises(errors[model]):
        async with asyncio.timeout(0.3 if model == "fault-connect-hang" else 10):
            await asyncio.open_connection(url.host, url.port, ssl=tls)


@BOTH
async def test_who_reaches_an_unreachable_model_is_told(ask, path):
    for model in UNREACHABLE:
        assert (await ask(path, model)).status_code == 400


@BOTH
@pytest.mark.parametrize(
    ("model", "status", "name", "value"),
    [
        ("fault-429", 429, "retry-after", None),
        ("fault-429-retry-after-7", 429, "retry-after", "7"),
        ("fault-429-retry-after-0", 429, "retry-after", "0"),
        ("fault-429-retry-after-ms-250", 429, "retry-after-ms", "250"),
        ("fault-429-retry-after-absurd", 429, "retry-after", "1e20"),
        ("fault-429-retry-after-negative", 429, "retry-after", "-5"),
        ("fault-429-retry-after-fractional", 429, "retry-after", "0.5"),
        ("fault-429-retry-after-rubbish", 429, "retry-after", "soon"),
        (
            "fault-429-retry-after-past",
            429,
            "retry-after",
            "Sun, 06 Nov 1994 08:49:37 GMT",
        ),
        ("fault-503-retry-after-7", 503, "retry-after", "7"),
        ("fault-529-retry-after-7", 529, "retry-after", "7"),
        ("fault-redirect", 302, "location", "/v1/redirected"),
        ("fault-redirect-301", 301, "location", "/v1/redirected"),
        ("fault-redirect-307", 307, "location", "/v1/redirected"),
        ("fault-redirect-308", 308, "location", "/v1/redirected"),
        (
            "fault-redirect-elsewhere",
            307,
            "location",
            "http://sandbox.invalid/v1/redirected",
        ),
        ("fault-502-html", 502, "content-type", "text/html; charset=utf-8"),
        ("fault-bad-gzip", 200, "content-encoding", "gzip"),
    ],
)
async def test_has_a_status_and_a_header(raw, path, model, status, name, value):
    received, _ = await raw(path, model)
    head = received.partition(b"\r\n\r\n")[0].decode()
    assert head.startswith(f"HTTP/1.1 {status}")
    found = re.search(rf"^{name}: (.*)\r?$", head + "\n", re.MULTILINE)
    assert (found and found[1].rstrip()) == value


async def test_advises_with_a_date(ask):
    response = await ask(OPENAI, "fault-429-retry-after-date-600")
    wait = parsedate_to_datetime(response.headers["retry-after"]) - datetime.now(UTC)
    assert timedelta(seconds=500) < wait <= timedelta(seconds=600)


async def test_a_spend_limit_is_named(ask):
    name = "enforced_spend_limit_reached"
    openai = await ask(OPENAI, "fault-spend-limit")
    anthropic = await ask(ANTHROPIC, "fault-spend-limit")
    assert (openai.status_code, anthropic.status_code) == (429, 429)
    assert openai.json()["error"]["code"] == name
    assert anthropic.json()["error"]["details"] == {"error_code": name}


async def test_fails_once_and_answers(ask):
    responses = [await ask(ANTHROPIC, "once-429-7") for _ in range(3)]
    assert [response.status_code for response in responses] == [429, 200, 429]
    assert responses[0].headers["retry-after"] == "7"


async def test_flaps(ask):
    statuses = set()
    async with asyncio.timeout(10):
        while len(statuses) < 2:
            statuses.add((await ask(OPENAI, "flapping-1")).status_code)
            await asyncio.sleep(0.05)
    assert statuses == {200, 503}


@BOTH
@EITHER_WAY
@pytest.mark.parametrize(
    ("model", "json_value"),
    [
        ("fault-nan", rb"NaN"),
        ("fault-infinity", rb"-Infinity"),
        ("fault-exponent", rb"1e999"),
        ("fault-digits", rb"9{5000}"),
        ("fault-deep", rb"\[{100000}\]{100000}"),
        ("fault-wrong-type", rb'\{"text": \["Hello"\]\}'),
        ("fault-lone-surrogate", rb'"\\ud800"'),
        ("fault-raw-nul", rb'"one \0 two"'),
        ("fault-invalid-utf8", rb'"\xff\xfe"'),
        ("nul", rb'"one \\u0000 two"'),
    ],
)
async def test_says_something_in_the_place_of_text(
    ask, path, stream, model, json_value
):
    content = (await ask(path, model, stream=stream)).content
    assert re.search(rb'"(content|text)":' + json_value + b"[,}]", content)


@BOTH
@pytest.mark.parametrize(
    ("model", "value"),
    [
        ("fault-json-null", None),
        ("fault-json-list", []),
        ("fault-json-object", {}),
        (
            "fault-no-choices",
            {"choices": [], "content": [], "candidates": [], "output": []},
        ),
    ],
)
async def test_says_something_in_the_place_of_an_answer(ask, path, model, value):
    assert (await ask(path, model)).json() == value
    streamed = (await ask(path, model, stream=True)).text
    lines = re.findall(r"^data: (.*)$", streamed, re.MULTILINE)
    assert len(lines) > 5
    assert {*lines} <= {json.dumps(value), "[DONE]"}


@BOTH
@EITHER_WAY
@pytest.mark.parametrize(
    ("model", "count"),
    [
        ("float-usage", b"12.5"),
        ("text-usage", b'"12"'),
        ("boolean-usage", b"true"),
        ("fault-nan-usage", b"NaN"),
    ],
)
async def test_counts_with_what_is_no_count(ask, path, stream, model, count):
    content = (await ask(path, model, stream=stream)).content
    assert re.search(rb'"(completion|output)_tokens":' + count + b"[,}]", content)


@BOTH
@EITHER_WAY
async def test_says_a_key_twice(ask, path, stream):
    content = (await ask(path, "duplicate-keys", stream=stream)).content
    twice = b'{"sandbox": 1, "sandbox": 2, '
    assert content.count(twice) == (content.count(b"data: {") if stream else 1)


@BOTH
async def test_ends_well_without_a_reason(ask, path):
    text = (await ask(path, "fault-done-without-finish", stream=True)).text
    assert re.search(r"data: \[DONE\]|event: message_stop", text)
    assert re.search(r'"(finish|stop)_reason":null', text)
    assert not re.search(r'"(finish|stop)_reason":"', text)


@BOTH
async def test_spoils_one_piece(ask, path):
    good = (await ask(path, "sandbox", stream=True)).text
    text = (await ask(path, "fault-bad-piece", stream=True)).text
    assert len(re.findall(r'"(?:content|text)": 42[,}]', text)) == 1
    assert text.count("data: ") == good.count("data: ")


@BOTH
async def test_limits_the_rate_in_the_first_event(ask, path):
    response = await ask(path, "fault-first-event-429", stream=True)
    assert response.status_code == 200
    [line] = re.findall(r"^data: (.*)$", response.text, re.MULTILINE)
    assert json.loads(line)["error"]["message"].startswith("Rate limit")


def inflate(body: bytes, coding: str) -> bytes:
    if coding != "zstd":
        return zlib.decompress(body, zlib.MAX_WBITS | (16 if coding == "gzip" else 0))
    # As far as RFC 8878 is needed: blocks that are raw, or one byte repeated.
    assert body.startswith(b"\x28\xb5\x2f\xfd\0")
    pieces, place, last = [], 6, False
    while not last:
        block = int.from_bytes(body[place : place + 3], "little")
        last, repeated, size = bool(block & 1), block & 2, block >> 3
        place += 3
        stored = 1 if repeated else size
        content = body[place : place + stored]
        pieces.append(content * size if repeated else content)
        place += stored
    assert place == len(body)
    return b"".join(pieces)


@BOTH
@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
async def test_a_bomb_is_small_until_it_is_inflated(client, build, path, coding):
    request = build(path, f"fault-{coding}-bomb-3")
    response = await client.send(request, stream=True)
    body = b"".join([part async for part in response.aiter_raw()])
    await response.aclose()
    assert response.headers["content-encoding"] == coding
    assert len(body) < 0.01 * 3 * MIB
    assert b"0" * 3 * MIB in inflate(body, coding)


@BOTH
async def test_sends_too_much(raw, path):
    received, _ = await raw(path, "fault-huge-headers-1")
    assert len(received.partition(b"\r\n\r\n")[0]) > MIB
    received, _ = await raw(path, "fault-huge-error-2")
    assert received.startswith(b"HTTP/1.1 500 ")
    assert len(received) > 2 * MIB
    received, _ = await raw(path, "fault-huge-line-2", stream=True)
    assert len(received.rpartition(b"data: ")[2]) > 2 * MIB
