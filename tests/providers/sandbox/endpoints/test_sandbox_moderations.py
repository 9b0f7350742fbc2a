import pytest
from openai import BadRequestError

IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


@pytest.mark.parametrize(
    ("given", "flagged"),
    [
        ("hello", [False]),
        ("an Attack", [True]),
        (["hello", "attack"], [False, True]),
        ([{"type": "text", "text": "attack"}, IMAGE], [True]),
    ],
)
async def test_flags_attacks(openai, given, flagged):
    answer = await openai.moderations.create(input=given)
    assert answer.model == "omni-moderation-latest"
    assert [result.flagged for result in answer.results] == flagged
    assert [result.categories.violence for result in answer.results] == flagged
    assert not any(result.categories.hate for result in answer.results)
    for result, flag in zip(answer.results, flagged, strict=True):
        assert (result.category_scores.violence > 0.5) == flag


async def test_has_every_category_of_the_sdk(openai):
    [result] = (await openai.moderations.create(input="x")).results
    for part in (
        result.categories,
        result.category_scores,
        result.category_applied_input_types,
    ):
        names = {field.alias or name for name, field in type(part).model_fields.items()}
        assert names == set(part.to_dict())


async def test_says_which_inputs_it_looked_at(openai):
    parts = [{"type": "text", "text": "x"}, IMAGE]
    [result] = (await openai.moderations.create(input=parts)).results
    looked_at = result.category_applied_input_types
    assert looked_at.violence == ["text", "image"]
    assert looked_at.hate == ["text"]


@pytest.mark.parametrize("given", [[], 5, ["x", 5], [{"type": "audio"}]])
async def test_refuses_wrong_input(openai, given):
    with pytest.raises(BadRequestError) as caught:
        await openai.moderations.create(input=given)
    assert caught.value.param == "input"
