"""Stored responses as resources: ``/v1/responses/{id}`` and what is under it."""

import re
from collections.abc import Mapping
from typing import Any

from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.endpoint import OPENAI, ReceivedRequest
from llm_proxy.providers.sandbox.reply import Reply, json_reply, problem_reply
from llm_proxy.providers.sandbox.responses.store import (
    ResponseStore,
    StoredResponse,
)

_USUAL_PAGE = 20
_MOST_ON_A_PAGE = 100


class ResponseResource:
    """Shows, cancels and deletes stored responses.

    Args:
        store: Has them.
    """

    def __init__(self, store: ResponseStore) -> None:
        self._store = store

    def show(self, request: ReceivedRequest) -> Reply:
        """Show a response, or the rest of its events if ``stream`` is asked for.

        Args:
            request: ``GET /v1/responses/{id}``.

        Returns:
            The response as it is now.
        """
        found = self._find(request)
        if isinstance(found, Problem):
            return problem_reply(OPENAI, found, request.id)
        if request.query.get("stream") != "true":
            return json_reply(OPENAI, found.look(), request.id)
        after = request.query.get("starting_after", "")
        start = int(after) + 1 if re.fullmatch("[0-9]{1,9}", after) else 0
        headers = {
            "content-type": "text/event-stream; charset=utf-8",
            OPENAI.request_id_header: f"req_{request.id}",
        }
        return Reply(200, headers, tuple(found.events()[start:]))

    def delete(self, request: ReceivedRequest) -> Reply:
        """Forget a response.

        Args:
            request: ``DELETE /v1/responses/{id}``.

        Returns:
            That it is deleted.
        """
        found = self._find(request)
        if isinstance(found, Problem):
            return problem_reply(OPENAI, found, request.id)
        response_id = found.finished["id"]
        self._store.forget(response_id)
        deleted = {"id": response_id, "object": "response", "deleted": True}
        return json_reply(OPENAI, deleted, request.id)

    def cancel(self, request: ReceivedRequest) -> Reply:
        """Cancel a response that is made in the background.

        Args:
            request: ``POST /v1/responses/{id}/cancel``.

        Returns:
            The response, which is not cancelled if it was finished before.
        """
        found = self._find(request)
        if isinstance(found, Problem):
            return problem_reply(OPENAI, found, request.id)
        if not found.finished["background"]:
            problem = Problem(400, "Cannot cancel a synchronous response.")
            return problem_reply(OPENAI, problem, request.id)
        found.cancel()
        return json_reply(OPENAI, found.look(), request.id)

    def list_input(self, request: ReceivedRequest) -> Reply:
        """List the items of the request that a response answers.

        Args:
            request: ``GET /v1/responses/{id}/input_items``.

        Returns:
            A page of them, the last item first unless ``order`` is ``asc``.
        """
        found = self._find(request)
        if isinstance(found, Problem):
            return problem_reply(OPENAI, found, request.id)
        page = _page(_written_input(found), request.query)
        if isinstance(page, Problem):
            return problem_reply(OPENAI, page, request.id)
        return json_reply(OPENAI, page, request.id)

    def _find(self, request: ReceivedRequest) -> StoredResponse | Problem:
        refused = OPENAI.check_credentials(request.headers)
        if refused is not None:
            return refused
        response_id = request.path.partition("?")[0].split("/")[3]
        message = f"Response with id '{response_id}' not found."
        return self._store.find(response_id) or Problem(404, message)


def _written_input(response: StoredResponse) -> list[dict[str, Any]]:
    """Write the items of the request as the vendor keeps them, each with an id."""
    own_id = response.finished["id"].removeprefix("resp_")
    items = []
    for index, item in enumerate(response.input):
        defaults = {"id": f"item_{own_id}{index}", "type": "message"}
        written = defaults | item
        if written["type"] == "message":
            written |= {"status": "completed", "content": _written_content(item)}
        items.append(written)
    return items


def _written_content(message: Mapping[str, Any]) -> list[Any]:
    content = message["content"]
    if not isinstance(content, str):
        return list(content)
    if message["role"] == "assistant":
        return [{"type": "output_text", "text": content, "annotations": []}]
    return [{"type": "input_text", "text": content}]


def _page(
    items: list[dict[str, Any]], query: Mapping[str, str]
) -> dict[str, Any] | Problem:
    wanted = query.get("limit", str(_USUAL_PAGE))
    limit = int(wanted) if re.fullmatch("[0-9]{1,3}", wanted) else 0
    if not 1 <= limit <= _MOST_ON_A_PAGE:
        message = f"limit must be from 1 to {_MOST_ON_A_PAGE}."
        return Problem(400, message, param="limit")
    ordered = items if query.get("order") == "asc" else items[::-1]
    ids = [item["id"] for item in ordered]
    after = query.get("after")
    rest = ordered[ids.index(after) + 1 if after in ids else 0 :]
    page = rest[:limit]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": len(page) < len(rest),
    }
