"""What all errors have in common."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class VendorWords:
    """An upstream's own description of a caller's mistake.

    Callers of `/v1` know it from the vendor, so it is shown there, and only there.

    Attributes:
        message: The vendor's sentence, without the provider key.
        type: The vendor's error type.
        code: The vendor's error code.
        param: The parameter at fault.
    """

    message: str
    type: str = ""
    code: str = ""
    param: str = ""


class APIError(Exception):
    """Something a caller is told about.

    Args:
        message: Replaces the class's text; shown to the caller, so it must be safe.
        details: More for the caller: a sentence, or one entry per wrong field.
        retry_after_seconds: When it makes sense to ask again.
        log_detail: What operators should read; never sent to the caller.

    Attributes:
        status: HTTP status.
        code: Stable name for programs, UPPER_SNAKE.
        should_retry: What we tell client SDKs in ``x-should-retry``; None says nothing.
            False also where an upstream failed: we have tried again already.
        is_operational: False for a defect of ours rather than a fact of life.
        vendor: What a provider said, where it is the caller's to know.
        headers: Of the provider's response, for callers of `/v1`.
        own_headers: Of ours, for all callers.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_ERROR"
    default_message: ClassVar[str] = "Something went wrong on our side"
    should_retry: ClassVar[bool | None] = False
    is_operational: ClassVar[bool] = True
    vendor: VendorWords | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    own_headers: tuple[tuple[bytes, bytes], ...] = ()

    def __init__(
        self,
        message: str | None = None,
        *,
        details: object = None,
        retry_after_seconds: float | None = None,
        log_detail: str = "",
    ) -> None:
        self.message = message or self.default_message
        self.details = details
        self.retry_after_seconds = retry_after_seconds
        self.log_detail = log_detail
        super().__init__(self.message)
