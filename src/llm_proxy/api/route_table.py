"""What there is at which address, who may use it, and how it is described."""

from dataclasses import dataclass

from pydantic import BaseModel

from llm_proxy.api.access_tokens import TokenAnswer, TokenBody, issue_token
from llm_proxy.api.admission import ANYONE, Access
from llm_proxy.api.audit import AuditAnswer, AuditParameters, show_audit
from llm_proxy.api.cache import CacheParameters, PurgeAnswer, purge_cache
from llm_proxy.api.chat import chat
from llm_proxy.api.explain import explain, show_trace
from llm_proxy.api.key_schemas import (
    KeyAnswer,
    KeyBody,
    KeyChangesBody,
    KeysAnswer,
    KeysParameters,
    NewKeyAnswer,
    RotateBody,
    ShownKeyAnswer,
)
from llm_proxy.api.keys import (
    create_key,
    list_keys,
    revoke_key,
    rotate_key,
    show_key,
    show_own_key,
    update_key,
)
from llm_proxy.api.schemas import (
    ChatAnswer,
    ChatBody,
    ExplainBody,
    HealthAnswer,
    ModelsAnswer,
    ReadyAnswer,
    WebhookAnswer,
    WebhookBody,
)
from llm_proxy.api.service import health, livez, metrics, models, readyz
from llm_proxy.api.usage import UsageParameters, show_usage
from llm_proxy.api.v1.routes import Endpoint
from llm_proxy.api.webhook import webhook

ERRORS = {
    400: "The request is not valid",
    401: "No valid API token",
    402: "A budget is exhausted",
    403: "The credential does not allow this",
    404: "Not found",
    405: "Method not allowed",
    409: "The first request with this Idempotency-Key is still under way",
    413: "The body is too large",
    415: "The body is not plain JSON",
    422: "The Idempotency-Key was used with another request",
    429: "Rate limit exceeded; see Retry-After",
    500: "A defect or a misconfiguration of ours",
    502: "The language model provider failed",
    503: "Overloaded, or the provider is cooling down",
    504: "The language model provider did not answer in time",
}
_OPEN = (429, 500)
_GUARDED = (401, 403, *_OPEN)
_PAID = (400, 402, 404, 409, 413, 415, 422, 502, 503, 504, *_GUARDED)
_MANAGED = (400, 404, 503, *_GUARDED)
_MANAGED_BODY = (413, 415, *_MANAGED)


@dataclass(frozen=True, slots=True)
class DescribedRoute:
    """One function and all its addresses, the first being the canonical one."""

    name: str
    endpoint: Endpoint
    paths: tuple[str, ...]
    method: str
    access: Access
    tag: str
    errors: tuple[int, ...]
    answer: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    status: int = 200


ROUTES = (
    DescribedRoute(
        "chat",
        chat,
        ("/api/v1/chat", "/chat"),
        "POST",
        Access("models:call", "chat"),
        "models",
        _PAID,
        ChatAnswer,
        ChatBody,
    ),
    DescribedRoute(
        "webhook",
        webhook,
        ("/api/v1/webhook", "/webhook"),
        "POST",
        Access("models:call", "webhook"),
        "tasks",
        _PAID,
        WebhookAnswer,
        WebhookBody,
    ),
    DescribedRoute(
        "models",
        models,
        ("/api/v1/models",),
        "GET",
        Access("models:read"),
        "models",
        _GUARDED,
        ModelsAnswer,
    ),
    DescribedRoute(
        "explain",
        explain,
        ("/api/v1/explain",),
        "POST",
        Access("models:read"),
        "models",
        (400, 404, 413, 415, *_GUARDED),
        body=ExplainBody,
    ),
    DescribedRoute(
        "trace",
        show_trace,
        ("/api/v1/traces/{id}",),
        "GET",
        Access("models:read"),
        "models",
        (404, *_GUARDED),
    ),
    DescribedRoute(
        "usage",
        show_usage,
        ("/api/v1/usage",),
        "GET",
        Access("usage:read"),
        "usage",
        (400, 404, 503, *_GUARDED),
        query=UsageParameters,
    ),
    DescribedRoute(
        "create_key",
        create_key,
        ("/api/v1/keys",),
        "POST",
        Access("keys:write"),
        "keys",
        _MANAGED_BODY,
        NewKeyAnswer,
        KeyBody,
        status=201,
    ),
    DescribedRoute(
        "list_keys",
        list_keys,
        ("/api/v1/keys",),
        "GET",
        Access("keys:read"),
        "keys",
        _MANAGED,
        KeysAnswer,
        query=KeysParameters,
    ),
    DescribedRoute(
        "show_own_key",
        show_own_key,
        ("/api/v1/keys/self",),
        "GET",
        Access("usage:read"),
        "keys",
        _MANAGED,
        ShownKeyAnswer,
    ),
    DescribedRoute(
        "show_key",
        show_key,
        ("/api/v1/keys/{id}",),
        "GET",
        Access("keys:read"),
        "keys",
        _MANAGED,
        ShownKeyAnswer,
    ),
    DescribedRoute(
        "update_key",
        update_key,
        ("/api/v1/keys/{id}",),
        "PATCH",
        Access("keys:write"),
        "keys",
        _MANAGED_BODY,
        KeyAnswer,
        KeyChangesBody,
    ),
    DescribedRoute(
        "rotate_key",
        rotate_key,
        ("/api/v1/keys/{id}/rotate",),
        "POST",
        Access("keys:write"),
        "keys",
        _MANAGED_BODY,
        NewKeyAnswer,
        RotateBody,
    ),
    DescribedRoute(
        "revoke_key",
        revoke_key,
        ("/api/v1/keys/{id}",),
        "DELETE",
        Access("keys:write"),
        "keys",
        _MANAGED,
        KeyAnswer,
    ),
    DescribedRoute(
        "audit",
        show_audit,
        ("/api/v1/audit",),
        "GET",
        Access("audit:read"),
        "keys",
        _MANAGED,
        AuditAnswer,
        query=AuditParameters,
    ),
    DescribedRoute(
        "issue_token",
        issue_token,
        ("/api/v1/auth/token",),
        "POST",
        Access("models:read"),
        "keys",
        _MANAGED_BODY,
        TokenAnswer,
        TokenBody,
    ),
    DescribedRoute(
        "purge_cache",
        purge_cache,
        ("/api/v1/cache",),
        "DELETE",
        Access("cache:purge"),
        "service",
        _MANAGED,
        PurgeAnswer,
        query=CacheParameters,
    ),
    DescribedRoute(
        "health",
        health,
        ("/api/v1/health", "/health"),
        "GET",
        ANYONE,
        "service",
        _OPEN,
        HealthAnswer,
    ),
    DescribedRoute("livez", livez, ("/livez",), "GET", ANYONE, "service", _OPEN),
    DescribedRoute(
        "readyz",
        readyz,
        ("/readyz",),
        "GET",
        ANYONE,
        "service",
        (503, *_OPEN),
        ReadyAnswer,
    ),
    DescribedRoute(
        "metrics",
        metrics,
        ("/metrics",),
        "GET",
        Access("metrics:read"),
        "service",
        _GUARDED,
    ),
)
