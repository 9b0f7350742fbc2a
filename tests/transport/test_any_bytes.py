"""Properties of a connection that hold whatever bytes come, however they are cut."""

import asyncio

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_proxy.transport.http1 import Connection

LENGTH = b"HTTP/1.1 200 OK\r\nx-a: 1\r\ncontent-length: 12\r\n\r\nhello, world"
ANSWERS = [
    LENGTH,
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nlink: b\r\n\r\n" + LENGTH,
    b"HTTP/1.1 200 OK\r\nx-a: 1\r\ntransfer-encoding: chunked\r\n\r\n"
    b"5;a=b\r\nhello\r\n7\r\n, world\r\n0\r\nx-late: 1\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nx-a: 1\r\n\r\nhello, world",
]


class Wire:
    """A transport that keeps what is written and has nothing below it."""

    def writelines(self, parts):
        self.written = b"".join(parts)

    def get_write_buffer_size(self):
        return 0

    def get_extra_info(self, name):
        return None

    def abort(self):
        pass

    pause_reading = resume_reading = abort


async def exchange(parts):
    """Return what an upstream's bytes, followed by its end, are understood as."""
    connection = Connection()
    connection.connection_made(Wire())

    async def feed():
        for part in parts:
            connection.data_received(part)
            await asyncio.sleep(0)
        connection.eof_received()
        connection.connection_lost(None)

    feeding = asyncio.create_task(feed())
    body = b""
    try:
        await connection.send([b"GET / HTTP/1.1\r\n\r\n"], 5)
        while data := await connection.read():
            body += data
    finally:
        await feeding
    return connection.status, connection.headers, body


def run(parts):
    return asyncio.run(asyncio.wait_for(exchange(parts), 10))


@given(st.sampled_from(ANSWERS), st.sets(st.integers(1, 150)))
def test_where_the_network_cuts_an_answer_does_not_matter(answer, cuts):
    ends = [*sorted(cut for cut in cuts if cut < len(answer)), len(answer)]
    parts = [answer[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    status, headers, body = run(parts)
    assert (status, headers[0], body) == (200, (b"x-a", b"1"), b"hello, world")
    assert len(headers) <= 2


@given(st.sampled_from(ANSWERS[:3]), st.integers(1, 200))
def test_an_answer_that_lacks_its_end_is_never_a_whole_one(answer, lacking):
    try:
        answered = run([answer[:-lacking]])
    except httpx.TransportError:
        return
    raise AssertionError(answered)


@settings(max_examples=300)
@given(st.sampled_from([b"", *ANSWERS]), st.data())
def test_garbage_is_an_answer_or_a_transport_error(answer, data):
    at = data.draw(st.integers(0, len(answer)))
    garbage = data.draw(st.binary(max_size=40))
    skipped = data.draw(st.integers(0, 20))
    try:
        status, _, body = run([answer[:at] + garbage + answer[at + skipped :]])
    except httpx.TransportError:
        return
    assert 200 <= status <= 999
    assert len(body) <= len(answer) + len(garbage)
