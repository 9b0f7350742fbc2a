"""Responses that are kept: by an upstream that can, and by the service elsewhere."""

import time

import openai as openai_sdk
import pytest
from tests.clients.conftest import OTHER_KEY

pytestmark = pytest.mark.integration

# The first keeps responses itself; for the others the service does.
KEEPERS = pytest.mark.parametrize(
    "provider", ["openai", "compatible", "anthropic", "gemini", "bedrock"]
)


@pytest.fixture
def create(openai, provider):
    """Creates a response of the provider's sandbox."""

    def create(text: str, model: str = "sandbox", **more):
        return openai.responses.create(model=f"{provider}/{model}", input=text, **more)

    return create


@KEEPERS
def test_a_response_is_kept_until_it_is_deleted(openai, create):
    made = create("Hello there", metadata={"project": "seven"})
    kept = openai.responses.retrieve(made.id)
    assert kept.output_text == 'The sandbox read: "Hello there"'
    assert kept.model_dump(exclude={"completed_at"}) == made.model_dump(
        exclude={"completed_at"}
    )
    assert kept.metadata == {"project": "seven"}

    openai.responses.delete(made.id)
    with pytest.raises(openai_sdk.NotFoundError):
        openai.responses.retrieve(made.id)


@KEEPERS
def test_its_input_can_be_listed(openai, create):
    made = create("Hello there")
    [item] = openai.responses.input_items.list(made.id).data
    assert item.role == "user"
    assert item.content[0].text == "Hello there"


@KEEPERS
def test_a_conversation_goes_on_from_it(openai, create, sandbox):
    first = create("One")
    second = create("Two", previous_response_id=first.id)
    assert second.output_text == 'The sandbox read: "Two"'
    assert second.previous_response_id == first.id
    third = create("Three", previous_response_id=second.id)
    body = sandbox.received()["body"]
    # Either the upstream knows the turns, or it is told all of them.
    assert second.id in body or all(word in body for word in ("One", "Two", "Three"))
    assert third.output_text == 'The sandbox read: "Three"'


@pytest.mark.parametrize("provider", ["openai"])
def test_a_conversation_moves_to_another_provider(openai, create, sandbox):
    first = create("One")
    second = openai.responses.create(
        model="anthropic/sandbox", input="Two", previous_response_id=first.id
    )
    assert second.output_text == 'The sandbox read: "Two"'
    turns = [message["content"] for message in sandbox.body()["messages"]]
    assert turns == ["One", 'The sandbox read: "One"', "Two"]


@KEEPERS
def test_streamed_responses_are_kept_too(openai, create):
    with create("Hello there", stream=True) as events:
        *_, last = events
    kept = openai.responses.retrieve(last.response.id)
    assert kept.output_text == 'The sandbox read: "Hello there"'


@KEEPERS
def test_what_is_not_to_be_stored_is_not_kept(openai, create):
    made = create("Hello there", store=False)
    with pytest.raises(openai_sdk.NotFoundError):
        openai.responses.retrieve(made.id)
    with pytest.raises(openai_sdk.BadRequestError) as caught:
        create("And now?", previous_response_id=made.id)
    assert caught.value.param == "previous_response_id"


@KEEPERS
def test_in_the_background(openai, create):
    made = create("Hello there", background=True)
    assert made.status in ("queued", "in_progress")
    assert done(openai, made.id).output_text == 'The sandbox read: "Hello there"'


@KEEPERS
def test_in_the_background_and_cancelled(openai, create, provider):
    # The sandbox leaves its own responses queued; here it must not be quick.
    model = "sandbox" if provider == "openai" else "slow-first-token-20000"
    made = create("Hello there", model, background=True)
    assert openai.responses.cancel(made.id).status == "cancelled"
    assert openai.responses.retrieve(made.id).status == "cancelled"


@KEEPERS
def test_nobody_else_sees_it(openai_at, service, openai, create):
    made = create("Hello there")
    other = openai_at(f"{service}/v1", OTHER_KEY)
    for method in (
        other.responses.retrieve,
        other.responses.delete,
        other.responses.cancel,
        other.responses.input_items.list,
    ):
        with pytest.raises(openai_sdk.NotFoundError):
            method(made.id)
    with pytest.raises(openai_sdk.BadRequestError):
        other.responses.create(
            model=made.model, input="And now?", previous_response_id=made.id
        )
    assert openai.responses.retrieve(made.id).id == made.id


@KEEPERS
def test_its_tokens_are_counted(openai, provider):
    counted = openai.responses.input_tokens.count(
        model=f"{provider}/sandbox", input="Hello there"
    )
    assert 2 <= counted.input_tokens < 20


def done(openai, response_id: str):
    """The response once it is no longer under way."""
    for _ in range(100):
        response = openai.responses.retrieve(response_id)
        if response.status not in ("queued", "in_progress"):
            return response
        time.sleep(0.02)
    raise AssertionError(response.status)
