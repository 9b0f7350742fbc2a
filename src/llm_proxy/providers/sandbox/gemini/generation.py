"""The paths at which content is generated.

Source: the Gemini API reference, "models.generateContent" and
"models.streamGenerateContent".
"""

from urllib.parse import unquote

from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.endpoint import Asked, ReceivedRequest
from llm_proxy.providers.sandbox.gemini.gemini import GEMINI
from llm_proxy.providers.sandbox.gemini.model_id import ModelID
from llm_proxy.providers.sandbox.gemini.request import read_request
from llm_proxy.providers.sandbox.models import name_in_id

_BEFORE_MODEL = "/v1beta/models/"


def read_generation(request: ReceivedRequest) -> Asked | Problem:
    """Read a request for a whole answer.

    Args:
        request: The request.

    Returns:
        What is asked.
    """
    return _read(request, stream=False)


def read_streamed_generation(request: ReceivedRequest) -> Asked | Problem:
    """Read a request for a stream.

    Args:
        request: The request; it has to ask for server-sent events, because the array
            that the vendor streams otherwise is of no use to anybody.

    Returns:
        What is asked.
    """
    if request.query.get("alt") != "sse":
        return Problem(400, "The sandbox streams only with alt=sse.")
    return _read(request, stream=True)


def model_in(request: ReceivedRequest) -> ModelID:
    """Find the model that a request asks for.

    Args:
        request: A request to one of the methods of a model.

    Returns:
        What stands between the collection and the method.
    """
    path, _, _ = request.path.partition("?")
    model, _, _ = unquote(path.removeprefix(_BEFORE_MODEL)).rpartition(":")
    return ModelID(model)


def refuse_key_in_query(request: ReceivedRequest) -> Problem | None:
    """Refuse what the vendor takes, and what then stands in everybody's logs.

    Args:
        request: Any request.

    Returns:
        A problem if a key stands in the query.
    """
    if "key" not in request.query:
        return None
    return Problem(400, "The sandbox takes keys in x-goog-api-key only.")


def _read(request: ReceivedRequest, *, stream: bool) -> Asked | Problem:
    problem = refuse_key_in_query(request)
    if problem is not None:
        return problem
    model = model_in(request)
    name = name_in_id(model.text)
    question = read_request(
        request.body, model, stream=stream, lenient=name == "lenient"
    )
    if isinstance(question, Problem):
        return question
    return Asked(question, GEMINI, name=name)
