"""The models of the Gemini API.

Source: the Gemini API reference, "models.list" and "models.get".
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.endpoint import ReceivedRequest
from llm_proxy.providers.sandbox.gemini.gemini import GEMINI
from llm_proxy.providers.sandbox.gemini.generation import refuse_key_in_query
from llm_proxy.providers.sandbox.models import find_model, model_names, name_in_id
from llm_proxy.providers.sandbox.reply import Reply, json_reply, problem_reply

_MOST_ON_A_PAGE = 1000
_METHODS = ("generateContent", "streamGenerateContent", "batchEmbedContents")


def list_models(request: ReceivedRequest) -> Reply:
    """List a page of models; the vendor's has 50 unless told otherwise, this one all.

    Args:
        request: May have ``pageSize`` and ``pageToken`` in its query.

    Returns:
        The page.
    """
    return _reply(request, _page(request.query))


def show_model(request: ReceivedRequest) -> Reply:
    """Describe one model.

    Args:
        request: Has its name in the path.

    Returns:
        The description.
    """
    path, _, _ = request.path.partition("?")
    model = unquote(path.removeprefix("/v1beta/models/"))
    known = find_model(name_in_id(model)) is not None
    return _reply(request, _describe(model) if known else GEMINI.unknown_model(model))


def _reply(request: ReceivedRequest, value: Mapping[str, Any] | Problem) -> Reply:
    problem = GEMINI.check_credentials(request.headers) or refuse_key_in_query(request)
    value = problem or value
    if isinstance(value, Problem):
        return problem_reply(GEMINI, value, request.id)
    return json_reply(GEMINI, value, request.id)


def _page(query: Mapping[str, str]) -> Mapping[str, Any] | Problem:
    names = model_names()
    size = query.get("pageSize", str(_MOST_ON_A_PAGE))
    start = query.get("pageToken", "0")
    if not re.fullmatch("[1-9][0-9]{0,8}", size):
        return Problem(400, "page_size must be positive", param="page_size")
    if not re.fullmatch("[0-9]{1,9}", start) or int(start) >= len(names):
        return Problem(400, "Invalid page token.", param="page_token")
    end = int(start) + min(int(size), _MOST_ON_A_PAGE)
    page: dict[str, Any] = {"models": [_describe(n) for n in names[int(start) : end]]}
    return page | ({"nextPageToken": str(end)} if end < len(names) else {})


def _describe(model: str) -> Mapping[str, Any]:
    return {
        "name": f"models/{model}",
        "version": "001",
        "displayName": model,
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": _METHODS,
    }
