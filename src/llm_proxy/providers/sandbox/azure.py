"""Azure OpenAI: OpenAI's API at other addresses, with the key in another header.

Source: the Azure OpenAI REST API reference.
"""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote

import orjson

from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.endpoint import Asked, ReceivedRequest
from llm_proxy.providers.sandbox.openai import OpenAI

_BEFORE_DEPLOYMENT = "/openai/deployments/"


class AzureOpenAI(OpenAI):
    """The dialect of everything below ``/openai``."""

    def check_credentials(self, headers: Mapping[str, str]) -> Problem | None:
        """Demand any key, in ``api-key`` or as a bearer."""
        if headers.get("api-key") or super().check_credentials(headers) is None:
            return None
        return Problem(
            401,
            "Access denied due to invalid subscription key or wrong API endpoint. Make "
            "sure to provide a valid key for an active subscription and use a correct "
            "regional API endpoint for your resource.",
            code="401",
        )

    def unknown_model(self, model: str) -> Problem:
        """Say that nobody has deployed such a model."""
        return Problem(
            404,
            "The API deployment for this resource does not exist. If you created the "
            "deployment within the last 5 minutes, please wait a moment and try again.",
            code="DeploymentNotFound",
        )


AZURE = AzureOpenAI()


def read_deployment_chat(request: ReceivedRequest) -> Asked | Problem:
    """Read a request for a chat completion of a deployment.

    Args:
        request: The request; the name of the deployment is the one of the model,
            whatever the body says, and the query has to name a version of the API.

    Returns:
        What is asked.
    """
    if not request.query.get("api-version"):
        return Problem(404, "Resource not found", code="404")
    path, _, _ = request.path.removeprefix(_BEFORE_DEPLOYMENT).partition("?")
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        return Problem(400, "The body must be a JSON object.")
    body["model"] = unquote(path.removesuffix("/chat/completions"))
    question = AZURE.read(orjson.dumps(body))
    if isinstance(question, Problem):
        return question
    return Asked(replace(question, body=request.body.decode()), AZURE)
