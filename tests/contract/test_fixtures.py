"""Whether the recordings are what the vendors' own SDKs read and write.

They are written by hand, and a mistake in them would prove what is wrong.
"""

import json

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from botocore.eventstream import EventStreamBuffer
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from tests.contract.exchanges import Recording, contracts

CONTRACTS = {contract.name: contract for contract in contracts()}
SDKS = {
    "openai_chat": (ChatCompletion, ChatCompletionChunk),
    "openai_responses": (Response, ResponseStreamEvent),
    "anthropic_messages": (Message, RawMessageStreamEvent),
}


def exchanges(*names: str) -> list:
    return [
        pytest.param(exchange, id=f"{name}-{exchange.name}")
        for name in names
        for exchange in CONTRACTS[name].exchanges
    ]


def events_of(stream: Recording) -> list[bytes]:
    lines = stream.body.splitlines()
    data = [line.removeprefix(b"data: ") for line in lines if line.startswith(b"data")]
    return [each for each in data if each != b"[DONE]"]


@pytest.mark.parametrize("exchange", exchanges("openai", "anthropic"))
def test_openais_and_anthropics_sdk_read_the_answers(exchange):
    whole, piece = map(TypeAdapter, SDKS[exchange.dialect])
    whole.validate_json(exchange.response(stream=False).body)

    events = events_of(exchange.response(stream=True))
    assert events
    for event in events:
        if event != b'{"type":"ping"}':
            piece.validate_json(event)


@pytest.fixture(scope="module")
def bedrock() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"))


def problems(value: dict, shape: Shape) -> str:
    """Says what is missing, unknown or of a wrong type."""
    # Some letters that hide how long an event is; the model does not have them.
    value.pop("p", None)
    return ParamValidator().validate(value, shape).generate_report()


@pytest.mark.parametrize("exchange", exchanges("bedrock"))
def test_awss_sdk_knows_requests_and_answers(bedrock, exchange):
    model = {"modelId": exchange.contract.model}
    converse = bedrock.operation_model("Converse")
    request = json.loads(exchange.request(stream=False).body)
    answer = json.loads(exchange.response(stream=False).body)
    assert problems(model | request, converse.input_shape) == ""
    assert problems(answer, converse.output_shape) == ""

    streamed = bedrock.operation_model("ConverseStream")
    request = json.loads(exchange.request(stream=True).body)
    assert problems(model | request, streamed.input_shape) == ""
    check_events(exchange.response(stream=True).body, streamed.output_shape)


@pytest.mark.parametrize("name", ["error-first", "error-midway"])
def test_awss_sdk_knows_exceptions(bedrock, name):
    [failure] = [each for each in CONTRACTS["bedrock"].failures if each.name == name]
    streamed = bedrock.operation_model("ConverseStream")
    check_events(failure.response.body, streamed.output_shape)


def check_events(stream: bytes, output: Shape) -> None:
    known = output.members[output.event_stream_name].members
    buffer = EventStreamBuffer()
    buffer.add_data(stream)
    events = list(buffer)

    assert events
    for event in events:
        headers = event.headers
        name = headers.get(":event-type") or headers[":exception-type"]
        assert problems(json.loads(event.payload), known[name]) == ""
