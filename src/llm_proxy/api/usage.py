"""What callers have used, as JSON or CSV."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime
from typing import Annotated, Literal

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)

from llm_proxy.api.admission import admit
from llm_proxy.api.management import Once, StorableText, read_query
from llm_proxy.api.response import json_response
from llm_proxy.books import Books
from llm_proxy.errors import InvalidInputError, NotFoundError
from llm_proxy.ledger.csv_text import csv_text
from llm_proxy.ledger.days import read_day
from llm_proxy.ledger.usage import (
    DIMENSIONS,
    Dimension,
    UsageQuery,
    UsageRow,
    columns,
    usage,
)

_MOST_DAYS = 366
_MOST_VALUES = 100
_CSV = "text/csv"


def _day(text: str) -> str:
    try:
        read_day(text)
    except ValueError:
        raise ValueError("must be a day such as 2026-11-21") from None
    return text


def _split(values: list[str]) -> list[str]:
    return [part for value in values for part in value.split(",")]


def _distinct(dimensions: tuple[Dimension, ...]) -> tuple[Dimension, ...]:
    if len(set(dimensions)) < len(dimensions):
        raise ValueError("must not name anything twice")
    return dimensions


_Day = Annotated[date, BeforeValidator(_day), Once]
_Days = Annotated[
    tuple[Annotated[str, AfterValidator(_day)], ...], Field(max_length=_MOST_VALUES)
]
_Name = Annotated[StorableText, Field(max_length=512)]
_Names = Annotated[tuple[_Name, ...], Field(max_length=_MOST_VALUES)]


class UsageParameters(BaseModel):
    """The query of a report; without ``by`` it is one row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first_day: _Day | None = Field(
        None,
        alias="from",
        description="The first day, UTC. Default: the first of the month of `to`.",
    )
    last_day: _Day | None = Field(
        None, alias="to", description="The last day, included. Default: today."
    )
    by: Annotated[
        tuple[Dimension, ...], BeforeValidator(_split), AfterValidator(_distinct)
    ] = Field((), description="What to divide the sums by, separated by commas.")
    organisation: _Names = Field((), description="Only calls of these organisations.")
    team: _Names = Field((), description="Only calls of these teams.")
    user: _Names = Field((), description="Only calls of the keys of these users.")
    user_id: _Names = Field(
        (), description="Only calls for these users, by the callers' own word."
    )
    key: _Names = Field((), description="Only calls of these callers.")
    model: _Names = Field((), description="Only calls of these models.")
    provider: _Names = Field((), description="Only calls of these providers.")
    project: _Names = Field((), description="Only calls of these projects.")
    feature: _Names = Field((), description="Only calls of these features.")
    day: _Days = Field((), description="Only calls of these days, UTC.")
    format: Annotated[Literal["json", "csv"], Once] | None = Field(
        None, description="Default: what `Accept` says, else JSON."
    )

    @property
    def only(self) -> dict[Dimension, tuple[str, ...]]:
        """The dimensions of which not every value counts."""
        chosen: dict[Dimension, tuple[str, ...]] = {
            dimension: getattr(self, dimension) for dimension in DIMENSIONS
        }
        return {dimension: values for dimension, values in chosen.items() if values}


async def show_usage(request: Request) -> Response:
    """Add up calls, tokens and money: the caller's own, or all of the organisation."""
    caller = await admit(request, "api")
    books: Books | None = request.app.state.books
    if books is None:
        raise NotFoundError("There is no ledger: DATABASE_URL is off")
    parameters = read_query(request, UsageParameters)
    first, last = _span(parameters)
    query = UsageQuery(
        principal=None if "usage:read_all" in caller.scopes else caller.name,
        first_day=first,
        last_day=last,
        organisation=caller.organisation or None,
        by=parameters.by,
        only=parameters.only,
    )
    rows = await usage(books.database, query)
    if _wants_csv(request, parameters):
        return _csv(query, rows)
    names = columns(query.by)
    data = [dict(zip(names, row.cells(), strict=True)) for row in rows]
    for each in data:
        # JSON's numbers are no decimals.
        each["cost"] = f"{each['cost']:f}"
    meta = {
        "requestId": request.state.request_id,
        "from": first.isoformat(),
        "to": last.isoformat(),
    }
    return json_response({"data": data, "meta": meta})


def _span(parameters: UsageParameters) -> tuple[date, date]:
    last = parameters.last_day or datetime.now(UTC).date()
    first = parameters.first_day or last.replace(day=1)
    days = (last - first).days + 1
    if not 1 <= days <= _MOST_DAYS:
        problem = (
            "must not be after to"
            if days < 1
            else f"must be at most {_MOST_DAYS} days long, up to and with to"
        )
        raise InvalidInputError(
            "The request is not valid: from",
            details=[{"field": "from", "problem": problem}],
        )
    return first, last


def _wants_csv(request: Request, parameters: UsageParameters) -> bool:
    if parameters.format is not None:
        return parameters.format == "csv"
    accepted = request.headers.get("accept", "").lower().split(",")
    return any(each.partition(";")[0].strip() == _CSV for each in accepted)


def _csv(query: UsageQuery, rows: list[UsageRow]) -> Response:
    text = csv_text(columns(query.by), (row.cells() for row in rows))
    name = f"usage-{query.first_day}-{query.last_day}.csv"
    return StreamingResponse(
        _pieces(text),
        media_type=f"{_CSV}; charset=utf-8; header=present",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


async def _pieces(text: Iterator[str]) -> AsyncIterator[str]:
    for piece in text:
        yield piece
        # Others get their turn, however quickly the caller reads.
        await asyncio.sleep(0)
