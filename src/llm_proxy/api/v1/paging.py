"""Lists that are read page by page."""

from fastapi import Request

from llm_proxy.errors import InvalidInputError

_LIMIT = "20"


def read_limit(request: Request, most: int) -> int:
    """Read how long a page may be.

    Args:
        request: Its query may have a ``limit``; 20 if it has none.
        most: The longest page.

    Returns:
        1 to `most`.

    Raises:
        InvalidInputError: It is no such number.
    """
    limit = request.query_params.get("limit", _LIMIT)
    fits = limit.isdecimal() and len(limit) <= len(str(most))
    if not (fits and 0 < int(limit) <= most):
        raise wrong_query("limit", f"must be a number from 1 to {most}")
    return int(limit)


def wrong_query(field: str, problem: str) -> InvalidInputError:
    """Make the error for a field of the query that a caller has to mend.

    Args:
        field: Its name.
        problem: What is wrong with it.

    Returns:
        The error.
    """
    details = [{"field": field, "problem": problem}]
    return InvalidInputError("The request is not valid", details=details)
