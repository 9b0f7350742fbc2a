"""Errors of our own."""

from llm_proxy.errors.base import APIError


class InternalError(APIError):
    """A defect or a misconfiguration of ours."""

    is_operational = False


class ProviderNotConfiguredError(InternalError, ValueError):
    """The provider exists and the operator has not given it what it needs."""

    code = "PROVIDER_NOT_CONFIGURED"
    default_message = "The provider is not configured on this server"
    is_operational = True


class OverloadedError(APIError):
    """The service is full or is shutting down."""

    status = 503
    code = "OVERLOADED"
    default_message = "The service cannot take this request now"
    should_retry = None


class StorageUnavailableError(APIError):
    """The database does not do what it is asked, through no fault of the request.

    Args:
        log_detail: What the database, or its driver, says about it.
    """

    status = 503
    code = "STORAGE_UNAVAILABLE"
    default_message = "The service cannot use its database or Redis now"
    should_retry = None

    def __init__(self, *, log_detail: str = "") -> None:
        super().__init__(retry_after_seconds=1.0, log_detail=log_detail)


class IdentityProviderUnavailableError(APIError):
    """The keys that prove who is calling cannot be fetched from who issued them."""

    status = 503
    code = "IDENTITY_PROVIDER_UNAVAILABLE"
    default_message = "The service cannot ask the identity provider now"
    should_retry = None

    def __init__(self) -> None:
        super().__init__(retry_after_seconds=1.0)
