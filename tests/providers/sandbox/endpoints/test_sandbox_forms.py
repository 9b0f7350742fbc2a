import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.providers.sandbox.body import File, Form, read_form
from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.endpoint import ReceivedRequest


class Letter(Form):
    text: str
    file: File
    number: int = 0
    names: list[str] | None = None


def received(**parts) -> ReceivedRequest:
    request = httpx.Request("POST", "http://sandbox/", **parts)
    return ReceivedRequest("POST", "/", dict(request.headers), request.read())


@given(st.binary(), st.text(st.characters(codec="utf-8")))
def test_every_byte_survives(content, text):
    files = {"file": ("a.bin", content), "text": (None, text.encode())}
    form = read_form(Letter, received(files=files))
    assert isinstance(form, Letter)
    assert (form.file.name, form.file.content) == ("a.bin", content)
    assert form.text == text


@given(st.binary())
def test_any_body_is_a_form_or_a_problem(body):
    headers = {"content-type": "multipart/form-data; boundary=x"}
    for content in (body, b"--x" + body + b"\r\n--x--", b"--x\r\n" + body + b"--x--"):
        form = read_form(Letter, received(headers=headers, content=content))
        assert isinstance(form, Problem)


def test_text_is_converted_and_brackets_make_a_list():
    names = [("names[]", (None, b"a")), ("names[]", (None, b"b"))]
    files = [("file", b"x"), ("text", (None, b"x")), ("number", (None, b"5")), *names]
    form = read_form(Letter, received(files=files))
    assert (form.number, form.names) == (5, ["a", "b"])


@pytest.mark.parametrize(
    ("files", "param"),
    [
        ({"text": (None, b"x")}, "file"),
        ({"text": (None, b"x"), "file": (None, b"x")}, "file"),
        ({"text": b"x", "file": b"x"}, "text"),
        ({"text": (None, b"x"), "file": b"x", "number": (None, b"five")}, "number"),
    ],
)
def test_says_which_field_is_wrong(files, param):
    problem = read_form(Letter, received(files=files))
    assert (problem.status, problem.param) == (400, param)


def test_the_boundary_does_not_change_the_id():
    first, second = (received(files={"file": b"x"}) for _ in range(2))
    assert first.body != second.body
    assert first.id == second.id != received(files={"file": b"y"}).id
