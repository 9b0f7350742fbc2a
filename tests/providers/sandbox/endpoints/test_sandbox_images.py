import base64
import struct

import pytest
from openai import BadRequestError

PICTURE = ("a.png", b"\x89PNG\r\n\x1a\n\x00--\r\n", "image/png")


def size_of(image) -> tuple[int, int]:
    """Width and height from the header of a PNG (RFC 2083)."""
    png = base64.b64decode(image.b64_json)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])


async def test_generates_images(openai):
    answer = await openai.images.generate(model="sandbox", prompt="A red cat", n=2)
    assert [size_of(image) for image in answer.data] == [(1, 1), (1, 1)]
    assert answer.usage.input_tokens == 3
    assert answer.usage.input_tokens_details.text_tokens == 3


@pytest.mark.parametrize("pictures", [PICTURE, [PICTURE, PICTURE]])
async def test_edits_images(openai, pictures):
    answer = await openai.images.edit(model="sandbox", image=pictures, prompt="Wider")
    count = len(pictures) if isinstance(pictures, list) else 1
    assert [size_of(image) for image in answer.data] == [(1, 1)]
    assert answer.usage.input_tokens_details.image_tokens == count
    assert answer.usage.input_tokens_details.text_tokens == 1


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
async def test_varies_images(openai):
    answer = await openai.images.create_variation(
        model="sandbox", image=PICTURE, n=3, response_format="b64_json"
    )
    assert len(answer.data) == 3


@pytest.mark.parametrize(
    ("changes", "param"),
    [({"prompt": ""}, "prompt"), ({"n": 11}, "n"), ({"response_format": "url"}, ...)],
)
async def test_refuses_wrong_requests(openai, changes, param):
    with pytest.raises(BadRequestError) as caught:
        await openai.images.generate(**{"model": "sandbox", "prompt": "x", **changes})
    assert caught.value.param == (next(iter(changes)) if param is ... else param)


async def test_refuses_forms_without_a_file(client):
    headers = {"authorization": "Bearer any"}
    form = await client.post("/images/edits", headers=headers, files={"x": b"y"})
    json = await client.post("/images/edits", headers=headers, json={"image": "x"})
    assert form.status_code == json.status_code == 400
    assert "multipart/form-data" in json.text
