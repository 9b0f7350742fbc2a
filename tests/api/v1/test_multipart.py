import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.api.v1.multipart import read_form
from llm_proxy.errors import InvalidInputError, UnsupportedMediaTypeError

TYPE = "multipart/form-data; boundary=b"
MODEL = b'Content-Disposition: form-data; name="model"\r\n\r\nwhisper'


def form(*parts: bytes) -> bytes:
    return b"--b\r\n" + b"\r\n--b\r\n".join(parts) + b"\r\n--b--\r\n"


def part(disposition: bytes, content: bytes = b"x", *headers: bytes) -> bytes:
    return b"\r\n".join(
        (b"Content-Disposition: " + disposition, *headers, b"", content)
    )


@pytest.mark.parametrize(
    "content_type",
    [
        TYPE,
        'multipart/form-data; boundary="b"',
        "Multipart/Form-Data;charset=utf-8;Boundary=b",
    ],
)
def test_the_boundary_is_read_however_it_is_written(content_type):
    assert read_form(content_type, form(MODEL)).model == "whisper"


@pytest.mark.parametrize(
    "model",
    [
        MODEL,
        b"content-disposition:form-data;name=model\r\n\r\nwhisper",
        b'Content-Disposition: FORM-DATA; Name="model" \r\n\r\nwhisper',
        part(
            b'form-data; name="model"',
            b"whisper",
            b"Content-Type: text/plain; charset=UTF-8",
            b"Content-Transfer-Encoding: 8bit",
        ),
    ],
)
def test_the_model_is_found_however_clients_write_its_part(model):
    file = part(b'form-data; name="file"; filename="a b.wav"', b"\r\n--\r\n--c\0")
    for parts in ((model, file), (file, model)):
        body = form(*parts)
        assert read_form(TYPE, body).model == "whisper"
        assert read_form(TYPE, body).with_model("gpt-4o-transcribe") == body.replace(
            b"whisper", b"gpt-4o-transcribe"
        )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b",
        b"--b--",
        form(),
        form(MODEL)[:-2].removesuffix(b"--"),
        form(MODEL) + b"--b\r\n",
        form(MODEL).removeprefix(b"--b\r\n"),
        b"preamble\r\n" + form(MODEL),
        form(MODEL).replace(b"\r\n", b"\n"),
        form(MODEL, MODEL),
        form(part(b'form-data; name="file"; filename="model"')),
        form(part(b'form-data; name="model"', b" ")),
        form(part(b'form-data; name="model"', b"\xff")),
        form(part(b'form-data; name="model"; filename="m"')),
        form(
            part(b'form-data; name="model"', b"e", b"Content-Transfer-Encoding: base64")
        ),
        form(MODEL, b"no headers"),
        form(MODEL, b"\r\nno headers"),
        form(MODEL, part(b"form-data")),
        form(MODEL, part(b'attachment; name="x"')),
        form(
            MODEL,
            part(b"form-data; name=x", b"y", b"Content-Disposition: form-data; name=z"),
        ),
        form(MODEL, part(b'form-data; name="x"; name="y"')),
        form(MODEL, part(b"form-data; name=\"x\"; name*=utf-8''model")),
        form(MODEL, part(b'form-data; name="mod\\el"')),
        form(MODEL, part(b'form-data; filename="a\\"; name="x"')),
        form(MODEL, part(b'form-data; name="x"; trailing')),
        form(MODEL, part(b'form-data; name="x"', b"y", b" folded")),
        form(MODEL, part(b'form-data; name="x"', b"y", b"No-Colon")),
        form(MODEL, part(b'form-data; name="x"', b"y", b"A: b\rc")),
        form(MODEL, part(b'form-data; name="x"', b"y", b"A: " + b"b" * 9000)),
        form(MODEL, part(b'form-data; name="x"', b"y\r\n--bc\r\n")),
        form(MODEL, *[part(b'form-data; name="x"')] * 256),
    ],
)  # fmt: skip
def test_what_parsers_could_disagree_on_is_refused(body):
    with pytest.raises(InvalidInputError) as refused:
        read_form(TYPE, body)

    assert {detail["field"] for detail in refused.value.details} <= {"body", "model"}


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary="b" c',
        "multipart/form-data; boundary=b; boundary=c",
        'multipart/form-data; boundary="b\\"',
        f"multipart/form-data; boundary={'b' * 71}",
        'multipart/form-data; boundary="b "',
        'multipart/form-data; boundary="é"',
    ],
)
def test_a_boundary_that_is_none_is_refused(content_type):
    with pytest.raises(InvalidInputError):
        read_form(content_type, form(MODEL))


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/mixed"])
def test_what_is_not_called_a_form_is_refused(content_type):
    with pytest.raises(UnsupportedMediaTypeError):
        read_form(content_type, form(MODEL))


names = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"])).filter(
    str.strip
)


@given(
    model=names,
    other=names,
    file=st.binary(),
    file_name=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])),
    fields=st.dictionaries(st.sampled_from(["stream", "prompt"]), st.text()),
)
def test_a_client_gets_its_own_form_back_with_another_model(
    model, other, file, file_name, fields
):
    def written(name: str) -> httpx2.Request:
        return httpx2.Request(
            "POST",
            "http://proxy.test",
            headers={"content-type": "multipart/form-data; boundary=a-b-c"},
            data={**fields, "model": name},
            files={"file": (file_name.replace("\\", "/"), file)},
        )

    request = written(model)
    found = read_form(request.headers["content-type"], request.read())

    assert found.model == model
    assert found.with_model(other) == written(other).read()


pieces = st.lists(
    st.sampled_from(
        [
            b"--b",
            b"--",
            b"\r\n",
            b"\r",
            b"\n",
            b"Content-Disposition: form-data",
            b'; name="model"',
            b"; name=x",
            b"\\",
            b'"',
            b"whisper",
            b"\xff\0",
        ]
    )
    | st.binary(max_size=3)
).map(b"".join)


@given(
    body=pieces
    | pieces.map(lambda garbage: b"--b\r\n" + MODEL + garbage + b"\r\n--b--")
)
def test_any_bytes_are_a_form_or_refused(body):
    try:
        found = read_form(TYPE, body)
    except InvalidInputError:
        return

    assert found.with_model(found.model) == body
    assert read_form(TYPE, found.with_model("another")).model == "another"


@given(garbage=st.text(st.characters(codec="latin-1")))
def test_any_content_type_is_a_boundary_or_refused(garbage):
    try:
        read_form(f"multipart/form-data{garbage}", form(MODEL))
    except (InvalidInputError, UnsupportedMediaTypeError):
        return
