import pytest
from openai import BadRequestError

TEXT = 'The sandbox read: "Say hello"'


async def complete(openai, **changes):
    request = {"model": "sandbox", "prompt": "Say hello", **changes}
    return await openai.completions.create(**request)


async def test_goes_on_with_a_prompt(openai):
    answer = await complete(openai)
    [choice] = answer.choices
    assert (choice.text, choice.finish_reason) == (TEXT, "stop")
    assert answer.object == "text_completion"
    assert answer.id.startswith("cmpl-")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (2, 5)


async def test_every_prompt_has_n_choices(openai):
    answer = await complete(openai, prompt=["one", "two"], n=2, echo=True)
    prompts = [choice.text.partition("The")[0] for choice in answer.choices]
    assert prompts == ["one", "one", "two", "two"]
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert answer.usage.completion_tokens == 16


@pytest.mark.parametrize(
    ("changes", "text", "reason"),
    [
        ({"max_tokens": 2}, "The sandbox ", "length"),
        ({"model": "chunks-20"}, "".join(f"{n} " for n in range(1, 17)), "length"),
        ({"stop": " read"}, "The sandbox", "stop"),
    ],
)
async def test_ends_early(openai, changes, text, reason):
    [choice] = (await complete(openai, **changes)).choices
    assert (choice.text, choice.finish_reason) == (text, reason)


async def test_streams_pieces_finish_and_usage(openai):
    options = {"include_usage": True}
    stream = await complete(openai, stream=True, echo=True, stream_options=options)
    *chunks, last, usage = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].text for chunk in chunks) == f"Say hello{TEXT}"
    assert {chunk.choices[0].finish_reason for chunk in chunks} == {None}
    assert (last.choices[0].text, last.choices[0].finish_reason) == ("", "stop")
    assert usage.choices == []
    assert usage.usage.total_tokens == 7


async def test_streams_usage_only_on_request(openai):
    stream = await complete(openai, stream=True)
    assert {chunk.usage async for chunk in stream} == {None}


async def test_a_stream_without_finish_has_no_done(client):
    response = await client.post(
        "/completions",
        headers={"authorization": "Bearer any"},
        json={"model": "fault-no-finish", "prompt": "x", "stream": True},
    )
    assert '"finish_reason":"' not in response.text
    assert "[DONE]" not in response.text


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": []},
        {"messages": []},
        {"max_tokens": 0},
        {"stream_options": {"include_usage": True}},
    ],
)
async def test_refuses_wrong_requests(openai, changes):
    with pytest.raises(BadRequestError):
        await complete(openai, extra_body=changes)
