"""What the management routes share: strict bodies, queries, pages of lists."""

from typing import Annotated, TypeVar

from fastapi import Request
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from llm_proxy.api.body import read_model
from llm_proxy.api.errors import describe

Model = TypeVar("Model", bound=BaseModel)
PAGE_LENGTH = 20
_LONGEST_PAGE = 100


def _once(values: list[str]) -> str:
    if len(values) != 1:
        raise ValueError("must be given once")
    return values[0]


def _storable(text: str) -> str:
    # Postgres takes it in no text.
    if "\0" in text:
        raise ValueError("must not contain U+0000")
    return text


Once = BeforeValidator(_once)
StorableText = Annotated[str, AfterValidator(_storable)]


ShortText = Annotated[StorableText, Field(max_length=255), Once]
PageLimit = Annotated[int, Field(ge=1, le=_LONGEST_PAGE), Once]


class StrictBody(BaseModel):
    """A request's body: types as in JSON, and nothing that is not asked for."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Query(BaseModel):
    """A request's query; unknown parameters are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AnswerMeta(BaseModel):
    """What is worth knowing about an answer."""

    requestId: str  # noqa: N815 - the name that logs and errors use


class PageMeta(AnswerMeta):
    """The same, of a page of a list."""

    next: str | None = Field(description="Names the next page; null on the last one.")


def read_query(request: Request, model: type[Model]) -> Model:
    """Read the query of a request.

    Args:
        request: Its query may also have the token of callers who cannot send headers.
        model: What the query must be; each parameter is a list of texts, of which
            `Once` takes the only one.

    Returns:
        The valid query.

    Raises:
        InvalidInputError: It is not what the model wants.
    """
    values: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        values.setdefault(name, []).append(value)
    values.pop("api_token", None)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise describe(error) from error


async def read_optional_model(request: Request, model: type[Model]) -> Model:
    """Read the body of a request that need not have one.

    Args:
        request: With its body unread.
        model: What the body must be; all its fields have defaults.

    Returns:
        The valid body.

    Raises:
        APIError: As `read_model`, if there is a body.
    """
    headers = request.headers
    # RFC 9112, section 6.3: without both of them a request has no body.
    has_body = headers.get("content-length", "0") != "0"
    if has_body or "transfer-encoding" in headers:
        return await read_model(request, model)
    return model()
