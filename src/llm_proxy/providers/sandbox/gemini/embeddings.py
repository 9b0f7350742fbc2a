"""The path at which texts become vectors.

Source: the Gemini API reference, "models.batchEmbedContents".
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError

from llm_proxy.providers.sandbox.conversation import Answer, Question
from llm_proxy.providers.sandbox.dialect import Problem, count_words
from llm_proxy.providers.sandbox.endpoint import Asked, ReceivedRequest
from llm_proxy.providers.sandbox.gemini.contents import Content
from llm_proxy.providers.sandbox.gemini.gemini import GEMINI
from llm_proxy.providers.sandbox.gemini.generation import (
    model_in,
    refuse_key_in_query,
)
from llm_proxy.providers.sandbox.gemini.json_form import JSONForm
from llm_proxy.providers.sandbox.gemini.mistakes import problem_of
from llm_proxy.providers.sandbox.models import name_in_id
from llm_proxy.providers.sandbox.reply import Reply, json_reply
from llm_proxy.providers.sandbox.vectors import (
    floats_in,
    make_vector,
    makes_vectors,
    usual_dimensions,
)

_MOST_REQUESTS = 100


class _EmbedContentRequest(JSONForm):
    model: str
    content: Content
    task_type: str | None = None
    title: str | None = None
    output_dimensionality: Annotated[int, Field(ge=1, le=4096)] | None = None


class _Body(JSONForm):
    requests: list[_EmbedContentRequest]


def read_batch_embeddings(request: ReceivedRequest) -> Asked | Problem:
    """Read a request for embeddings.

    Args:
        request: The request.

    Returns:
        What is asked; the endpoint's own models are those of OpenAI's endpoint.
    """
    try:
        body = _Body.model_validate_json(request.body)
    except ValidationError as error:
        return problem_of(error)
    model = model_in(request).text
    name = name_in_id(model)
    problem = refuse_key_in_query(request) or _check(body, model)
    if problem is not None:
        return problem

    def render(answer: Answer) -> Reply:
        # A model without anything to say has no vectors either.
        embedded = [_embed(each, name) for each in body.requests if answer.text]
        return json_reply(GEMINI, {"embeddings": embedded}, answer.id)

    texts = [each.content.said for each in body.requests]
    question = Question(
        model=model,
        text=texts[-1],
        input_tokens=count_words(*texts),
        max_tokens=None,
        stream=False,
    )
    return Asked(question, GEMINI, render, knows_model=makes_vectors(name), name=name)


def _check(body: _Body, model: str) -> Problem | None:
    if not 1 <= len(body.requests) <= _MOST_REQUESTS:
        message = f"at most {_MOST_REQUESTS} requests can be in one batch"
        return _invalid("requests", message)
    for place, request in enumerate(body.requests):
        if request.model != f"models/{model}":
            return _invalid(
                f"requests[{place}].model", "must be equal to the model of the batch."
            )
        if not request.content.said:
            return _invalid(f"requests[{place}].content", "content is empty.")
    return None


def _invalid(place: str, rule: str) -> Problem:
    return Problem(400, f"* BatchEmbedContentsRequest.{place}: {rule}\n")


def _embed(request: _EmbedContentRequest, name: str) -> Mapping[str, Any]:
    dimensions = request.output_dimensionality or usual_dimensions(name)
    return {"values": floats_in(make_vector(request.content.said, dimensions))}
