import anthropic as anthropic_sdk
import openai as openai_sdk
import pytest

from llm_proxy.providers.sandbox.models import model_names


async def test_openai_lists_and_shows_models(openai):
    models = [model async for model in openai.models.list()]
    shown = await openai.models.retrieve("sandbox")
    assert [model.id for model in models] == model_names()
    assert shown == models[0]
    assert (shown.object, shown.owned_by) == ("model", "sandbox")


async def test_anthropic_lists_and_shows_models(anthropic):
    models = [model async for model in anthropic.models.list(limit=20)]
    shown = await anthropic.models.retrieve("sandbox")
    assert [model.id for model in models] == model_names()
    assert shown == models[0]
    assert (shown.type, shown.lifecycle) == ("model", "active")


@pytest.mark.parametrize(
    ("query", "expected", "has_more"),
    [
        ({"limit": 2}, slice(0, 2), True),
        ({"limit": 2, "after_id": model_names()[1]}, slice(2, 4), True),
        ({"limit": 2, "before_id": model_names()[3]}, slice(1, 3), True),
        ({"after_id": model_names()[-3]}, slice(-2, None), False),
    ],
)
async def test_anthropic_pages(anthropic, query, expected, has_more):
    page = await anthropic.models.list(**query)
    names = model_names()[expected]
    assert [model.id for model in page.data] == names
    assert (page.first_id, page.last_id) == (names[0], names[-1])
    assert page.has_more is has_more


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 1001}, {"after_id": "x"}])
async def test_anthropic_refuses_wrong_pages(anthropic, query):
    with pytest.raises(anthropic_sdk.BadRequestError):
        await anthropic.models.list(**query)


async def test_a_model_with_a_number_exists(openai):
    assert (await openai.models.retrieve("chunks-7")).id == "chunks-7"


async def test_unknown_models_are_404(openai, anthropic):
    with pytest.raises(openai_sdk.NotFoundError):
        await openai.models.retrieve("gpt/4")
    with pytest.raises(anthropic_sdk.NotFoundError):
        await anthropic.models.retrieve("claude")


async def test_models_demand_credentials(client):
    assert (await client.get("/models/sandbox")).status_code == 401
