"""One tree of errors; status, code and retry advice live on the class.

```
APIError 500
├── InvalidInputError 400 · what the request says
│   └── UnknownProviderError (also a ValueError) …
├── AuthenticationError 401 · BudgetExceededError 402
├── ForbiddenError 403 ── ModelNotAllowedError
├── NotFoundError 404 · MethodNotAllowedError 405 · IdempotencyConflictError 409
├── PayloadTooLargeError 413 · UnsupportedMediaTypeError 415
├── IdempotencyMismatchError 422
├── RateLimitExceeded 429 · OverloadedError 503 · StorageUnavailableError 503
├── IdentityProviderUnavailableError 503
├── InternalError 500 ── ProviderNotConfiguredError (also a ValueError)
└── LLMAPIError 502 · what an upstream does
    └── LLMCoolingDownError 503 · LLMTimeoutError 504 …
```
"""

from llm_proxy.errors.base import (
    APIError,
    VendorWords,
)
from llm_proxy.errors.caller import (
    AuthenticationError,
    AuthenticationThrottledError,
    BudgetExceededError,
    ForbiddenError,
    IdempotencyConflictError,
    IdempotencyMismatchError,
    InvalidInputError,
    MalformedJSONError,
    MethodNotAllowedError,
    ModelNotAllowedError,
    NotFoundError,
    PayloadTooLargeError,
    PromptInjectionError,
    PromptTooLongError,
    RateLimitExceeded,
    RequestRejectedError,
    UnknownModelError,
    UnknownProviderError,
    UnsupportedFeatureError,
    UnsupportedMediaTypeError,
    UnsupportedModelError,
)
from llm_proxy.errors.service import (
    IdentityProviderUnavailableError,
    InternalError,
    OverloadedError,
    ProviderNotConfiguredError,
    StorageUnavailableError,
)
from llm_proxy.errors.upstream import (
    LLMAPIError,
    LLMBadResponseError,
    LLMConnectionError,
    LLMConnectionLostError,
    LLMContentFilteredError,
    LLMCoolingDownError,
    LLMCredentialsError,
    LLMQuotaExhaustedError,
    LLMRateLimitedError,
    LLMStreamBrokenError,
    LLMTimeoutError,
    LLMUnavailableError,
)

__all__ = [
    "APIError",
    "AuthenticationError",
    "AuthenticationThrottledError",
    "BudgetExceededError",
    "ForbiddenError",
    "IdempotencyConflictError",
    "IdempotencyMismatchError",
    "IdentityProviderUnavailableError",
    "InternalError",
    "InvalidInputError",
    "LLMAPIError",
    "LLMBadResponseError",
    "LLMConnectionError",
    "LLMConnectionLostError",
    "LLMContentFilteredError",
    "LLMCoolingDownError",
    "LLMCredentialsError",
    "LLMQuotaExhaustedError",
    "LLMRateLimitedError",
    "LLMStreamBrokenError",
    "LLMTimeoutError",
    "LLMUnavailableError",
    "MalformedJSONError",
    "MethodNotAllowedError",
    "ModelNotAllowedError",
    "NotFoundError",
    "OverloadedError",
    "PayloadTooLargeError",
    "PromptInjectionError",
    "PromptTooLongError",
    "ProviderNotConfiguredError",
    "RateLimitExceeded",
    "RequestRejectedError",
    "StorageUnavailableError",
    "UnknownModelError",
    "UnknownProviderError",
    "UnsupportedFeatureError",
    "UnsupportedMediaTypeError",
    "UnsupportedModelError",
    "VendorWords",
]
