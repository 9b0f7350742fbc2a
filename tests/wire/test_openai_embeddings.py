import base64
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.errors import InvalidInputError
from llm_proxy.types import Usage
from llm_proxy.wire.dialect import UpstreamFaultError, WireError
from llm_proxy.wire.openai_embeddings import (
    check_input,
    observe_embeddings,
    write_embeddings,
)

FLOATS = [0.5, -0.25, 1.0]
BASE64 = base64.b64encode(struct.pack("<3f", *FLOATS)).decode()


def answer(*vectors: object, **fields: object) -> bytes:
    data = [{"index": 0, "embedding": vector, "new": 1} for vector in vectors]
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    return json.dumps({"data": data, "model": "m", "usage": usage} | fields).encode()


@pytest.mark.parametrize(
    "value", ["text", ["text", "other"], [1, 2], [[1, 2], [3]], ["text", [1]]]
)
def test_inputs_of_every_form_are_taken(value):
    check_input({"input": value})


@pytest.mark.parametrize(
    "value", [None, "", [], [""], [[]], ["a", ""], [True], [1.5], {"a": 1}, 7, [[[1]]]]
)
def test_without_anything_to_embed_a_request_is_refused(value):
    with pytest.raises(InvalidInputError) as refused:
        check_input({"input": value})

    assert refused.value.details[0]["field"] == "input"


@pytest.mark.parametrize(("vector", "as_base64"), [(FLOATS, False), (BASE64, True)])
def test_an_answer_in_the_right_form_is_not_touched(vector, as_base64):
    body = answer(vector, vector)
    passage = observe_embeddings(body, as_base64=as_base64)

    assert passage.data is body
    assert passage.has_content
    assert passage.model == "m"
    assert passage.usage == Usage(input_tokens=5, source="provider")


@pytest.mark.parametrize(
    ("vector", "as_base64", "converted"),
    [(FLOATS, True, BASE64), (BASE64, False, FLOATS)],
)
def test_an_answer_in_the_other_form_is_converted(vector, as_base64, converted):
    passage = observe_embeddings(answer(vector, converted), as_base64=as_base64)

    assert json.loads(passage.data) == json.loads(answer(converted, converted))


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_no_float_of_32_bits_changes_on_the_way(floats):
    packed = observe_embeddings(answer(floats), as_base64=True).data
    unpacked = observe_embeddings(packed, as_base64=False).data

    assert json.loads(unpacked)["data"][0]["embedding"] == floats


@pytest.mark.parametrize(
    ("body", "as_base64"),
    [
        (b"", False),
        (b"[]", False),
        (b"{}", False),
        (answer(), False),
        (answer(data=None), False),
        (answer(data=["vector"]), False),
        (answer(None), False),
        (answer([]), False),
        (answer(["x"]), True),
        (answer([1e300]), True),
        (answer("no base64"), False),
        (answer("AAAA"), False),
        (answer(base64.b64encode(struct.pack("<f", float("nan"))).decode()), False),
    ],
)
def test_what_is_no_answer_is_an_error(body, as_base64):
    with pytest.raises(WireError):
        observe_embeddings(body, as_base64=as_base64)


def test_an_error_in_the_place_of_an_answer_is_found():
    with pytest.raises(UpstreamFaultError) as fault:
        observe_embeddings(
            b'{"error":{"type":"rate_limit_error","message":"slow down"}}',
            as_base64=True,
        )

    assert fault.value.detail.status == 429


def test_vectors_of_other_dialects_are_written_as_openai_does():
    assert json.loads(write_embeddings("m", [FLOATS, FLOATS])) == {
        "object": "list",
        "model": "m",
        "data": [
            {"object": "embedding", "index": 0, "embedding": FLOATS},
            {"object": "embedding", "index": 1, "embedding": FLOATS},
        ],
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
    }
