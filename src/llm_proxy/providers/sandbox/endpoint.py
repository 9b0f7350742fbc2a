"""What an endpoint of the sandbox gets, and what it makes of it."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import QueryParams

from llm_proxy.providers.sandbox.behaviour import Exchange
from llm_proxy.providers.sandbox.conversation import Answer, Question
from llm_proxy.providers.sandbox.dialect import Dialect
from llm_proxy.providers.sandbox.openai import OpenAI
from llm_proxy.providers.sandbox.reply import Reply, json_reply

Render = Callable[[Answer], Reply]
OPENAI = OpenAI()


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as it arrived.

    Attributes:
        method: HTTP method.
        path: Path and query.
        headers: Header names, in lower case, and values.
        body: The body.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters after the question mark."""
        return QueryParams(self.path.partition("?")[2])

    @property
    def id(self) -> str:
        """What the same request always has and others do not."""
        # The boundary of a form is random.
        _, _, boundary = self.headers.get("content-type", "").partition("boundary=")
        body = self.body.replace(boundary.encode(), b"") if boundary else self.body
        return hashlib.sha256(self.path.encode() + b"\n" + body).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class Asked:
    """A valid request to an endpoint, and how its answer is written.

    Attributes:
        question: What was asked.
        dialect: Writes errors, and the answer where there is no `render`.
        render: Puts an answer into a form that the dialect does not know.
        knows_model: The model is one of the endpoint's own, and well-behaved.
        name: The name of the model, where the question has a longer id of it.
    """

    question: Question
    dialect: Dialect = OPENAI
    render: Render | None = None
    knows_model: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class AskedExchange(Exchange):
    """An exchange whose answer may have a form that the dialect does not know.

    Attributes:
        render: Puts an answer into that form.
    """

    render: Render | None = None

    def reply(self, answer: Answer) -> Reply:
        """Put an answer into the form that was asked for."""
        if self.render is None:
            return Exchange.reply(self, answer)
        return self.render(answer)


def as_json(write: Callable[[Answer], Mapping[str, Any]]) -> Render:
    """Send as JSON what is not a message.

    Args:
        write: Makes the JSON object from the answer.

    Returns:
        What puts it into a reply.
    """
    return lambda answer: json_reply(OPENAI, write(answer), answer.id)
