"""Rows of the ledger."""

import itertools
from datetime import UTC, datetime

_ids = itertools.count()


def moment(text: str) -> int:
    """The milliseconds since 1970 of a UTC moment such as ``2026-11-21 12:00``."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def row(at: str = "2026-11-21 12:00", **fields: object) -> dict[str, object]:
    """A row of the ledger: an answered call of alice's, with fields changed."""
    return {
        "id": f"row-{next(_ids)}",
        "at_ms": moment(at),
        "request_id": "request",
        "attempt": 1,
        "principal": "alice",
        "project": "",
        "organisation": "",
        "team": "",
        "owner": "",
        "user_id": "",
        "feature": "",
        "asked_model": "gpt-4o",
        "provider": "openai",
        "model": "gpt-4o",
        "answered_model": None,
        "input_tokens": 0,
        "output_tokens": 0,
        "cached_tokens": 0,
        "cache_write_tokens": 0,
        "reasoning_tokens": 0,
        "usage_source": "provider",
        "cost_nanos": 0,
        "cost_source": "catalogue",
        "price": "",
        "cache": "",
        "status": "answered",
        "code": "",
        "seconds": 0.5,
        "first_token_seconds": None,
    } | fields
