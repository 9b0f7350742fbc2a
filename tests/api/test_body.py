import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

BODY = json.dumps({"provider": "openai", "model": "gpt-4", "prompt": "PROMPT"})
JSON = {"Content-Type": "application/json"}


async def in_parts(body: bytes, size: int = 100) -> AsyncIterator[bytes]:
    """A body without a content length."""
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/problem+json",
    ],
)
async def test_json_is_taken_under_its_names(client, content_type):
    answer = await client().post(
        "/chat", content=BODY, headers={"Content-Type": content_type}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": ""},
        {"Content-Type": "text/plain"},
        {"Content-Type": "text/plain; application/json"},
        {"Content-Type": "application/jsonp"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {**JSON, "Content-Encoding": "gzip"},
    ],
)
async def test_anything_else_is_refused_unread(client, headers):
    answer = await client().post("/chat", content=BODY, headers=headers)
    assert answer.status_code == 415
    assert answer.json()["error"]["code"] == "UNSUPPORTED_MEDIA_TYPE"


@pytest.mark.parametrize("path", ["/chat", "/webhook"])
@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
async def test_a_body_may_have_so_many_bytes(client, upstream, path, chunked):
    def content(size: int) -> bytes | AsyncIterator[bytes]:
        body = BODY.ljust(size).encode()
        return in_parts(body) if chunked else body

    caller = client(max_body_bytes=1000)
    answer = await caller.post(path, content=content(1000), headers=JSON)
    assert answer.status_code == 200
    answer = await caller.post(path, content=content(1001), headers=JSON)
    assert answer.status_code == 413
    assert len(upstream.sent) == 1


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({}, 1100),
        ({"Content-Length": "1001"}, 0),
        ({"Content-Length": "9" * 5000}, 0),
    ],
    ids=["chunked", "declared", "5000 digits"],
)
async def test_no_more_is_read_than_the_limit(client, declared, expected):
    read = []

    async def endless():
        while True:
            read.append(100)
            yield b" " * 100

    answer = await client(max_body_bytes=1000).post(
        "/chat", content=endless(), headers=JSON | declared
    )
    assert answer.status_code == 413
    assert sum(read) == expected


HORRORS = {
    "empty": b"",
    "blank": b"  ",
    "not JSON": b"{PROMPT",
    "single quotes": b"{'prompt': 'PROMPT'}",
    "two values": b"{}{}",
    "comment": b"{} // PROMPT",
    "NaN": b'{"prompt": "PROMPT", "temperature": NaN}',
    "infinity": b'{"prompt": "PROMPT", "temperature": -Infinity}',
    "1e999": b'{"prompt": "PROMPT", "temperature": 1e999}',
    "5000 digits": b'{"prompt": "PROMPT", "max_tokens": %b}' % (b"9" * 5000),
    "deep list": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "deep and whole": b"[" * 100_000 + b"]" * 100_000,
    "UTF-8": b'{"prompt": "PROMPT\xff"}',
    "UTF-16": '{"prompt": "PROMPT"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"prompt": "PROMPT"}',
    "raw control": b'{"prompt": "PROMPT\n"}',
    "lone surrogate": b'{"prompt": "PROMPT\\ud800"}',
    "surrogate key": b'{"\\udfff": "PROMPT"}',
}


@pytest.mark.parametrize("body", HORRORS.values(), ids=HORRORS)
async def test_what_is_no_json_is_a_400(client, upstream, body):
    answer = await client().post("/webhook", content=body, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "MALFORMED_JSON"
    assert "PROMPT" not in answer.text
    assert upstream.sent == []


@pytest.mark.parametrize("body", ["null", "1", '"x"', "[]", '["prompt"]', "true"])
async def test_what_is_no_object_is_a_400(client, body):
    answer = await client().post("/webhook", content=body, headers=JSON)
    assert answer.status_code == 400
    [detail] = answer.json()["error"]["details"]
    assert detail["field"] == "body"


async def test_of_repeated_names_the_last_one_counts(client, upstream):
    body = b'{"prompt": "first", "prompt": "last"}'
    answer = await client().post("/webhook", content=body, headers=JSON)
    assert answer.status_code == 200
    assert "last" in upstream.sent[0]["messages"][-1]["content"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    ["provider", "model", "prompt", "messages", "max_tokens", "source", "language"]
)


@pytest.fixture
def unlimited(client):
    return client(rate_limit_enabled=False)


@examples(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    path=st.sampled_from(["/chat", "/webhook"]),
    body=st.binary()
    | VALUES.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(FIELDS, VALUES).map(lambda value: json.dumps(value).encode()),
)
async def test_no_body_is_a_defect(unlimited, path, body):
    answer = await unlimited.post(path, content=body, headers=JSON)
    assert answer.status_code in (200, 400)


async def test_nobody_is_answered_who_hangs_up_while_sending(call, logs):
    sent = []
    hang_up = asyncio.Event()
    hang_up.set()

    async def send(message):
        sent.append(message)

    await call(b"{", send, hang_up, more_body=True)
    assert sent == []
    [line] = logs("request")
    assert line["status"] == 499


@pytest.mark.parametrize("text", ["a" + "\u0315\u0300" * 20, "x" * 100_000])
async def test_what_would_take_long_to_normalise_is_not_looked_at(client, text):
    answer = await client().chat(prompt=text)
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["field"] == "prompt"


async def test_marks_of_real_languages_are_composed(client, upstream):
    answer = await client().chat(prompt="Vie\u0323\u0302t Nam")
    assert answer.status_code == 200
    assert upstream.sent[0]["messages"][-1]["content"] == "Việt Nam"


async def test_invisible_characters_hide_nothing_from_the_guardrails(client, upstream):
    answer = await client().chat(prompt="mail an\u200bna@exa\u2060mple.com now")
    assert answer.json()["meta"]["pii"] == ["email"]
    assert upstream.sent[0]["messages"][-1]["content"] == "mail [EMAIL_REDACTED] now"
