import pytest
from openai import BadRequestError, NotFoundError


@pytest.fixture
def respond(openai):
    """Asks for a response; the request is right unless told otherwise."""

    async def respond(given: object = "Say hello", **more):
        request = {"model": "sandbox", "input": given, **more}
        return await openai.responses.create(**request)

    return respond


async def test_shows_a_response_again(openai, respond):
    made = await respond()
    assert await openai.responses.retrieve(made.id) == made


async def test_shows_the_rest_of_a_stream(openai, respond):
    events = [event async for event in await respond(stream=True)]
    made = events[0].response.id
    rest = await openai.responses.retrieve(made, stream=True, starting_after=3)
    assert [event async for event in rest] == events[4:]


async def test_goes_on_from_a_response(respond):
    first = await respond("one two")
    second = await respond("three", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert second.output_text == 'The sandbox read: "three"'
    words = 3 + first.usage.output_tokens
    assert second.usage.input_tokens == words


async def test_stores_nothing_if_told_so(openai, respond):
    made = await respond(store=False)
    with pytest.raises(NotFoundError, match=made.id):
        await openai.responses.retrieve(made.id)
    with pytest.raises(BadRequestError) as caught:
        await respond(previous_response_id=made.id)
    assert caught.value.code == "previous_response_not_found"


async def test_deletes_a_response(openai, respond):
    made = await respond()
    await openai.responses.delete(made.id)
    with pytest.raises(NotFoundError):
        await openai.responses.retrieve(made.id)
    with pytest.raises(NotFoundError):
        await openai.responses.delete(made.id)


async def test_lists_the_input(openai, respond):
    given = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": [{"type": "input_text", "text": "three"}]},
    ]
    made = await respond(given)
    pages = openai.responses.input_items.list(made.id, order="asc", limit=2)
    items = [item async for item in pages]
    newest = await openai.responses.input_items.list(made.id, limit=1)
    assert [item.content[0].text for item in items] == ["one", "two", "three"]
    assert [item.content[0].type for item in items][:2] == ["input_text", "output_text"]
    assert newest.data[0] == items[-1]
    assert newest.has_more


async def test_works_in_the_background(openai, respond):
    made = await respond(background=True)
    seen = [made, *[await openai.responses.retrieve(made.id) for _ in range(3)]]
    statuses = [response.status for response in seen]
    assert statuses == ["queued", "in_progress", "completed", "completed"]
    assert [bool(response.output) for response in seen] == [False, False, True, True]


async def test_cancels_what_is_in_the_background(openai, respond):
    made = await respond(background=True)
    cancelled = await openai.responses.cancel(made.id)
    assert (cancelled.status, cancelled.output) == ("cancelled", [])
    assert await openai.responses.cancel(made.id) == cancelled
    assert await openai.responses.retrieve(made.id) == cancelled


async def test_cannot_cancel_what_is_finished(openai, respond):
    made = await respond(background=True)
    for _ in range(2):
        finished = await openai.responses.retrieve(made.id)
    assert await openai.responses.cancel(made.id) == finished


async def test_cannot_cancel_what_is_not_in_the_background(openai, respond):
    made = await respond()
    with pytest.raises(BadRequestError):
        await openai.responses.cancel(made.id)


async def test_background_streams_say_that_they_wait(respond):
    events = [event async for event in await respond(background=True, stream=True)]
    assert [event.type for event in events][:3] == [
        "response.created",
        "response.queued",
        "response.in_progress",
    ]
    assert [event.response.status for event in events[:3]] == [
        "queued",
        "queued",
        "in_progress",
    ]


async def test_keeps_the_last_256_responses(client, openai, respond):
    made = await respond("the first")
    for number in range(256):
        await respond(str(number))
    with pytest.raises(NotFoundError):
        await openai.responses.retrieve(made.id)


async def test_demands_credentials(client):
    assert (await client.get("/responses/resp_1")).status_code == 401
    assert (await client.post("/responses", json={})).status_code == 401
