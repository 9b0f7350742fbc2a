"""``GET /v1/models`` and ``GET /v1/models/{id}``, in the words of either vendor."""

import re
from collections.abc import Mapping
from typing import Any

from llm_proxy.providers.sandbox.dialect import Problem

# Constants, because the same request has to give the same bytes.
_CREATED = 1735689600
_CREATED_AT = "2025-01-01T00:00:00Z"
_MOST_ON_A_PAGE = 1000


def openai_model(name: str) -> dict[str, Any]:
    """Describe a model as OpenAI does.

    Args:
        name: The model.

    Returns:
        A ``model``.
    """
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "sandbox"}


def openai_models(names: list[str]) -> dict[str, Any]:
    """List models as OpenAI does, which knows no pages.

    Args:
        names: The models.

    Returns:
        A ``list``.
    """
    return {"object": "list", "data": [openai_model(name) for name in names]}


def anthropic_model(name: str) -> dict[str, Any]:
    """Describe a model as Anthropic does.

    Args:
        name: The model.

    Returns:
        A ``model``.
    """
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": _CREATED_AT,
        "lifecycle": "active",
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
    }


def anthropic_models(
    names: list[str], query: Mapping[str, str]
) -> dict[str, Any] | Problem:
    """List a page of models as Anthropic does.

    The vendor puts 20 on a page unless told otherwise; the sandbox puts all.

    Args:
        names: The models.
        query: ``limit``, and ``after_id`` or ``before_id``.

    Returns:
        The page; a problem if the query asks for none that there could be.
    """
    wanted = query.get("limit", str(_MOST_ON_A_PAGE))
    limit = int(wanted) if re.fullmatch("[0-9]{1,4}", wanted) else 0
    if not 1 <= limit <= _MOST_ON_A_PAGE:
        return Problem(400, f"limit: must be from 1 to {_MOST_ON_A_PAGE}")
    for cursor in (query.get("after_id"), query.get("before_id")):
        if cursor is not None and cursor not in names:
            return Problem(400, f"There is no model with the id {cursor}")
    if "before_id" in query:
        rest = names[: names.index(query["before_id"])]
        page = rest[-limit:]
    else:
        start = names.index(query["after_id"]) + 1 if "after_id" in query else 0
        rest = names[start:]
        page = rest[:limit]
    return {
        "data": [anthropic_model(name) for name in page],
        "has_more": len(page) < len(rest),
        "first_id": page[0] if page else None,
        "last_id": page[-1] if page else None,
    }
