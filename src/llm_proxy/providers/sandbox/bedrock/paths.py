"""The paths at which models of Amazon Bedrock are asked."""

from urllib.parse import unquote

from llm_proxy.providers.sandbox.bedrock.claude import is_claude
from llm_proxy.providers.sandbox.bedrock.converse import Converse
from llm_proxy.providers.sandbox.bedrock.request import read_body, read_question
from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.endpoint import Asked, ReceivedRequest
from llm_proxy.providers.sandbox.models import name_in_id

_STOP_SEQUENCE = "/stop_sequence"


def read_converse(request: ReceivedRequest) -> Asked | Problem:
    """Read a request for a whole answer.

    Args:
        request: The request.

    Returns:
        What is asked.
    """
    return _read(request, stream=False)


def read_converse_stream(request: ReceivedRequest) -> Asked | Problem:
    """Read a request for a stream.

    Args:
        request: The request.

    Returns:
        What is asked.
    """
    return _read(request, stream=True)


def _read(request: ReceivedRequest, *, stream: bool) -> Asked | Problem:
    path, _, _ = request.path.removeprefix("/model/").partition("?")
    model = unquote(path.rpartition("/")[0])
    name = name_in_id(model)
    body = read_body(request.body, lenient=name == "lenient")
    if isinstance(body, Problem):
        return body
    question = read_question(body, request.body, model, stream=stream)
    if isinstance(question, Problem):
        return question
    asks_for_stop = _STOP_SEQUENCE in body.additional_model_response_field_paths
    dialect = Converse(
        guarded=body.guardrail_config is not None,
        tells_stop_sequence=asks_for_stop and is_claude(model),
    )
    return Asked(question, dialect, name=name)
