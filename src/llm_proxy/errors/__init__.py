"""One tree of errors; status, code and retry advice live on the class.

```
APIError 500
├── InvalidInputError 400 · what the request says
│   └── UnknownProviderError (also a ValueError) …
├── AuthenticationError 401 · NotFoundError 404 · MethodNotAllowedError 405
├── PayloadTooLargeError 413 · UnsupportedMediaTypeError 415
├── RateLimitExceeded 429 · OverloadedError 503 · StorageUnavailableError 503
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
    InvalidInputError,
    MalformedJSONError,
    MethodNotAllowedError,
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
