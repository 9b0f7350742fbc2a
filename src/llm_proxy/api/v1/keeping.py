"""Responses in their conversations: where one belongs, and that it is kept."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
from fastapi import Request

from llm_proxy.api.v1.surfaces import RESPONSES
from llm_proxy.errors import InvalidInputError, NotFoundError, VendorWords
from llm_proxy.providers import ProviderFactory
from llm_proxy.responses import ResponseStore, StoredResponse
from llm_proxy.routing import Route, Target
from llm_proxy.wire import Inquiry


class Keeper:
    """Places one request in its conversation, and keeps the answer.

    Args:
        request: Leads to the parts of the service.
        owner: Who asks.
        inquiry: What is asked.

    Raises:
        InvalidInputError: It continues a response that is not kept.
    """

    def __init__(self, request: Request, owner: str, inquiry: Inquiry) -> None:
        self._store: ResponseStore = request.app.state.responses
        self._factory: ProviderFactory = request.app.state.providers
        self._owner = owner
        self._inquiry = inquiry
        self._parent: StoredResponse | None = None
        self._earlier: list[dict[str, Any]] = []
        fields = inquiry.asked.fields
        self.wanted = fields.get("store") is not False
        previous = fields.get("previous_response_id")
        if previous is not None:
            try:
                self._parent = self._store.get(owner, str(previous))
                self._earlier = self._store.conversation(owner, str(previous))
            except NotFoundError:
                raise _not_found() from None

    def is_native(self, target: Target) -> bool:
        """Say whether a target's upstream keeps responses itself.

        Args:
            target: Who may answer.

        Returns:
            Whether the caller's bytes pass through to it.
        """
        provider = self._factory.get_provider(target.provider, target.model)
        return provider.relays(RESPONSES.name)

    def place(self, route: Route) -> tuple[Route, Inquiry]:
        """Give whoever may answer what it needs of the conversation so far.

        An upstream that keeps the conversation gets the id; for the others the turns
        are written out.

        Args:
            route: Where the call may go.

        Returns:
            Where it can go, and what is asked there.
        """
        inquiry, parent = self._inquiry, self._parent
        if parent is None:
            return route, inquiry
        fields = {**inquiry.asked.fields, "previous_response_id": None}
        fields["input"] = [*self._earlier, *input_items(fields)]
        inquiry = replace(inquiry, conversation=fields)
        keeping = route.only(lambda target: target.provider == parent.provider)
        if not keeping.tiers:
            del fields["previous_response_id"]
            return route, replace(inquiry, body=orjson.dumps(fields))
        others = route.only(
            lambda target: (
                target.provider != parent.provider and not self.is_native(target)
            )
        )
        return replace(route, tiers=(*keeping.tiers, *others.tiers)), inquiry

    def keep(self, response: dict[str, Any], target: Target) -> None:
        """Keep a response, if the caller wants it.

        Args:
            response: The response object.
            target: Who made it.
        """
        if not (self.wanted and isinstance(response.get("id"), str)):
            return
        items = tuple(
            {"id": f"msg_{os.urandom(12).hex()}", **item}
            for item in input_items(self._inquiry.asked.fields)
        )
        native = self.is_native(target)
        stored = StoredResponse(
            response=response,
            input=items,
            provider=target.provider if native else "",
            model=target.model if native else "",
            parent=self._parent.id if self._parent else "",
        )
        self._store.put(self._owner, stored)


def _not_found() -> InvalidInputError:
    field = "previous_response_id"
    details = [{"field": field, "problem": "is not kept"}]
    error = InvalidInputError("The previous response was not found", details=details)
    error.vendor = VendorWords(
        error.message, "invalid_request_error", "previous_response_not_found", field
    )
    return error


def input_items(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Write a request's input as items.

    Args:
        fields: The request.

    Returns:
        Its items; a text is one message of the user.
    """
    given = fields.get("input")
    if isinstance(given, str):
        content = [{"type": "input_text", "text": given}]
        return [{"type": "message", "role": "user", "content": content}]
    return [item for item in given or () if isinstance(item, dict)]
