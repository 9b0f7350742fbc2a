"""Bodies of requests to OpenAI's API, read as strictly as the vendor does."""

from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from llm_proxy.providers.sandbox.dialect import Problem
from llm_proxy.providers.sandbox.endpoint import ReceivedRequest
from llm_proxy.providers.sandbox.openai.mistakes import problem_of

_Body = TypeVar("_Body", bound=BaseModel)


class Form(BaseModel, extra="forbid"):
    """A form; its fields arrive as text and are converted."""


class File(BaseModel):
    """A file of a form.

    Attributes:
        name: What the client calls it.
        content: The bytes.
    """

    name: str
    content: bytes


def read_json(kind: type[_Body], body: bytes) -> _Body | Problem:
    """Read a JSON body.

    Args:
        kind: What it has to be.
        body: The bytes.

    Returns:
        The body; if it is not valid, the first mistake in the vendor's words.
    """
    try:
        return kind.model_validate(orjson.loads(body))
    except orjson.JSONDecodeError:
        return Problem(400, "We could not parse the JSON body of your request.")
    except ValidationError as error:
        return problem_of(error)


def read_form(kind: type[_Body], request: ReceivedRequest) -> _Body | Problem:
    """Read a ``multipart/form-data`` body (RFC 7578).

    Args:
        kind: What it has to be. A name that ends in ``[]`` loses that; a name that
            comes several times has a list.
        request: The request.

    Returns:
        The form; if it is not valid, the first mistake in the vendor's words.
    """
    head = Message()
    head["content-type"] = request.headers.get("content-type", "")
    boundary = head.get_boundary()
    if head.get_content_type() != "multipart/form-data" or not boundary:
        return Problem(400, "The body must be multipart/form-data with a boundary.")
    fields: dict[str, list[str | File]] = {}
    separator = b"\r\n--" + boundary.encode()
    for part in (b"\r\n" + request.body).split(separator)[1:-1]:
        name, value = _read_part(part)
        fields.setdefault(name.removesuffix("[]"), []).append(value)
    single = {name: values[0] for name, values in fields.items() if len(values) == 1}
    try:
        return kind.model_validate(fields | single)
    except ValidationError as error:
        return problem_of(error)


def as_list(value: object) -> list[Any]:
    """Take a field that may have one value or several.

    Args:
        value: The value, or a list of values.

    Returns:
        A list in either case.
    """
    return value if isinstance(value, list) else [value]


def _read_part(part: bytes) -> tuple[str, str | File]:
    head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    headers = BytesHeaderParser().parsebytes(head)
    name = str(headers.get_param("name", "", "content-disposition"))
    file_name = headers.get_filename()
    if file_name is None:
        return name, content.decode(errors="replace")
    return name, File(name=file_name, content=content)
