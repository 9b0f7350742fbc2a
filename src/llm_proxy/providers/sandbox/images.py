"""OpenAI's ``POST /v1/images/…``, from the server's side.

Every image is the same grey pixel.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from llm_proxy.providers.sandbox.body import (
    File,
    Form,
    as_list,
    read_form,
    read_json,
)
from llm_proxy.providers.sandbox.conversation import Answer, Question
from llm_proxy.providers.sandbox.dialect import Problem, count_words
from llm_proxy.providers.sandbox.endpoint import Asked, ReceivedRequest, as_json
from llm_proxy.providers.sandbox.strict import Strict

_CREATED = 1735689600
_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCB2kUIOwAAAABJ"
    "RU5ErkJggg=="
)
_MOST_IMAGES = 10


class _Generation(Strict):
    model: str = "sandbox"
    prompt: str = Field(min_length=1)
    n: int | None = Field(None, ge=1, le=_MOST_IMAGES)
    response_format: Literal["b64_json"] | None = None
    stream: Literal[False] | None = None
    background: str | None = None
    moderation: str | None = None
    output_compression: int | None = None
    output_format: str | None = None
    quality: str | None = None
    safety_identifier: str | None = None
    size: str | None = None
    style: str | None = None
    user: str | None = None


class _Variation(Form):
    model: str = "sandbox"
    image: Annotated[list[File], BeforeValidator(as_list)]
    n: int = Field(1, ge=1, le=_MOST_IMAGES)
    response_format: Literal["b64_json"] = "b64_json"
    size: str | None = None
    user: str | None = None


class _Edit(_Variation):
    prompt: str = Field(min_length=1)
    mask: File | None = None
    background: str | None = None
    input_fidelity: str | None = None
    output_compression: int | None = None
    output_format: str | None = None
    quality: str | None = None
    safety_identifier: str | None = None


def read_image_generation(request: ReceivedRequest) -> Asked | Problem:
    """Read a request for images from a prompt.

    Args:
        request: The request.

    Returns:
        What is asked.
    """
    body = read_json(_Generation, request.body)
    if isinstance(body, Problem):
        return body
    return _asked(body.model, body.prompt, body.n or 1, images=0)


def read_image_edit(request: ReceivedRequest) -> Asked | Problem:
    """Read a request to edit images as a prompt says.

    Args:
        request: The request.

    Returns:
        What is asked.
    """
    body = read_form(_Edit, request)
    if isinstance(body, Problem):
        return body
    return _asked(body.model, body.prompt, body.n, images=len(body.image))


def read_image_variation(request: ReceivedRequest) -> Asked | Problem:
    """Read a request for variations of an image.

    Args:
        request: The request.

    Returns:
        What is asked.
    """
    body = read_form(_Variation, request)
    if isinstance(body, Problem):
        return body
    return _asked(body.model, "", body.n, images=len(body.image))


def _asked(model: str, prompt: str, n: int, *, images: int) -> Asked:
    words = count_words(prompt)

    def write(answer: Answer) -> dict[str, Any]:
        data = [{"b64_json": _PNG}] * n if answer.text else []
        written = {"created": _CREATED, "data": data, "output_format": "png"}
        if answer.tokens is None:
            return written
        tokens = answer.tokens
        usage = {
            "input_tokens": tokens.input,
            "input_tokens_details": {"text_tokens": words, "image_tokens": images},
            "output_tokens": tokens.output,
            "total_tokens": tokens.input + tokens.output,
        }
        return written | {"usage": usage}

    question = Question(model, prompt, words + images, None, stream=False)
    return Asked(question, render=as_json(write))
