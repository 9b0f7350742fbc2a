"""The models that a program is offered, in the form of its vendor."""

import anthropic as anthropic_sdk
import openai as openai_sdk
import pytest

pytestmark = pytest.mark.integration


def test_openai_lists_models(openai):
    models = openai.models.list().data
    assert {"smart", "openai/gpt-4"} <= {model.id for model in models}
    assert {model.object for model in models} == {"model"}
    assert openai.models.retrieve(models[-1].id) == models[-1]


def test_anthropic_lists_models_page_by_page(anthropic):
    pages = [page.data for page in anthropic.models.list(limit=50).iter_pages()]
    models = [model for page in pages for model in page]
    assert [len(page) for page in pages[:-1]] == [50] * (len(pages) - 1)
    assert len({model.id for model in models}) == len(models) > 50
    assert {model.type for model in models} == {"model"}
    assert anthropic.models.retrieve(models[-1].id) == models[-1]


def test_both_list_the_same(openai, anthropic):
    ours = [model.id for model in openai.models.list().data]
    theirs = [model.id for model in anthropic.models.list(limit=1000)]
    assert ours == theirs


def test_unknown_models_are_404(openai, anthropic):
    with pytest.raises(openai_sdk.NotFoundError) as caught:
        openai.models.retrieve("nobody/nothing")
    assert caught.value.code == "model_not_found"
    with pytest.raises(anthropic_sdk.NotFoundError) as caught:
        anthropic.models.retrieve("nobody/nothing")
    assert caught.value.type == "not_found_error"
