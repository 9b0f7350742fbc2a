"""OpenAI's ``POST /v1/moderations``, from the server's side."""

from typing import Annotated, Any

from pydantic import BeforeValidator

from llm_proxy.providers.sandbox.body import read_json
from llm_proxy.providers.sandbox.conversation import Answer, Question
from llm_proxy.providers.sandbox.dialect import Problem, count_words
from llm_proxy.providers.sandbox.endpoint import Asked, ReceivedRequest, as_json
from llm_proxy.providers.sandbox.strict import Strict

_OWN_MODEL = "omni-moderation-latest"
_FLAGGED_WORD = "attack"
_FLAGGED_CATEGORY = "violence"
_TEXT_CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "sexual/minors",
)
_IMAGE_CATEGORIES = (
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "violence",
    "violence/graphic",
)


def _read_inputs(value: object) -> list[dict[str, Any]]:
    """Read texts, one result each, or the parts of one multimodal input."""
    items: list[Any] = value if isinstance(value, list) else [value]
    if items and all(isinstance(item, str) for item in items):
        return [{"text": item, "image": False} for item in items]
    if not items or not all(isinstance(item, dict) for item in items):
        raise ValueError("must be a text, texts, or parts with a type")
    if not all(item.get("type") in ("text", "image_url") for item in items):
        raise ValueError("every part must be of type text or image_url")
    text = " ".join(str(item.get("text", "")) for item in items)
    return [{"text": text, "image": any(i["type"] == "image_url" for i in items)}]


class _Body(Strict):
    model: str = _OWN_MODEL
    input: Annotated[list[dict[str, Any]], BeforeValidator(_read_inputs)]


def read_moderations(request: ReceivedRequest) -> Asked | Problem:
    """Read a request for a moderation; a text with "attack" in it is flagged.

    Args:
        request: The request.

    Returns:
        What is asked.
    """
    body = read_json(_Body, request.body)
    if isinstance(body, Problem):
        return body
    texts = [item["text"] for item in body.input]

    def write(answer: Answer) -> dict[str, Any]:
        # A model without anything to say has no results either.
        results = [_judge(**item) for item in body.input if answer.text]
        return {"id": f"modr-{answer.id}", "model": answer.model, "results": results}

    question = Question(body.model, texts[-1], count_words(*texts), None, stream=False)
    known = body.model == _OWN_MODEL
    return Asked(question, render=as_json(write), knows_model=known)


def _judge(text: str, image: bool) -> dict[str, Any]:
    flagged = _FLAGGED_WORD in text.lower()
    names = sorted(_TEXT_CATEGORIES + _IMAGE_CATEGORIES)
    guilty = {name: flagged and name == _FLAGGED_CATEGORY for name in names}
    looked_at = {
        name: ["text", "image"] if image and name in _IMAGE_CATEGORIES else ["text"]
        for name in names
    }
    return {
        "flagged": flagged,
        "categories": guilty,
        "category_scores": {name: 0.9 if guilty[name] else 0.01 for name in names},
        "category_applied_input_types": looked_at,
    }
