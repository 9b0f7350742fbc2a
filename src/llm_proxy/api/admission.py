"""Who may come in: authentication and rate limits, before any body is read."""

import time

from fastapi import Request

from llm_proxy.errors import (
    AuthenticationError,
    AuthenticationThrottledError,
    InvalidInputError,
    RateLimitExceeded,
)
from llm_proxy.limits import RateLimits, Scope, Standing
from llm_proxy.security import TokenStore, read_token
from llm_proxy.telemetry import get_logger
from llm_proxy.types import Principal

_log = get_logger(__name__)
# What asks a model; everything else is quick, and of use while the service stops.
_WORK: frozenset[Scope] = frozenset(("chat", "webhook"))


class Admission:
    """Decides over a request by its head alone.

    Args:
        tokens: Know whose token it is.
        scrape_tokens: The same, for those who may read the metrics.
        rates: Count requests.
        allow_query_token: Whether ``?api_token=`` counts.
    """

    def __init__(
        self,
        tokens: TokenStore,
        scrape_tokens: TokenStore,
        rates: RateLimits,
        allow_query_token: bool,
    ) -> None:
        self._tokens = tokens
        self._scrape_tokens = scrape_tokens
        self._rates = rates
        self._allow_query_token = allow_query_token

    def admit(self, request: Request, *scopes: Scope) -> Principal:
        """Let a known caller in.

        Args:
            request: Its headers and query are read, its body is not.
            scopes: The limits that the request counts against.

        Returns:
            Who is calling.

        Raises:
            AuthenticationError: There is no valid token.
            InvalidInputError: There are two different ones.
            AuthenticationThrottledError: The address has guessed too often.
            OverloadedError: It is new work, and the service is stopping or full.
            RateLimitExceeded: The caller has used up a limit.
        """
        principal = self._authenticate(request, self._tokens)
        if not _WORK.isdisjoint(scopes):
            request.app.state.drain.check()
            request.app.state.places.check()
        for scope in scopes:
            self._count(request, scope, f"token:{principal.name}")
        return principal

    def admit_scraper(self, request: Request) -> None:
        """Let in who may read the metrics.

        Args:
            request: As for `admit`.

        Raises:
            AuthenticationError: There is no valid token.
            AuthenticationThrottledError: The address has guessed too often.
        """
        self._authenticate(request, self._scrape_tokens)

    def _authenticate(self, request: Request, tokens: TokenStore) -> Principal:
        state = request.scope["state"]
        client = f"address:{state['client_ip']}"
        try:
            token = read_token(
                request.scope["headers"],
                request.scope["query_string"],
                self._allow_query_token,
            )
        except InvalidInputError:
            # Nothing else would count such requests.
            self._count_failure(client)
            raise
        principal = tokens.find(token) if token is not None else None
        if principal is None:
            _log.warning(
                "auth_failed",
                client_ip=state["client_ip"],
                path=request.scope["path"],
                reason="missing" if token is None else "unknown",
            )
            # Only failures are refused: who has a token must not be locked out by
            # somebody else behind the same address.
            self._count_failure(client)
            raise AuthenticationError
        state["principal"] = principal.name
        return principal

    def _count_failure(self, client: str) -> None:
        standing = self._rates.count("auth_failure", client)
        if standing is not None and standing.exceeded:
            raise AuthenticationThrottledError(retry_after_seconds=_wait(standing))

    def admit_anyone(self, request: Request, scope: Scope) -> None:
        """Let a caller in who needs no token.

        Args:
            request: Counted by the client's address.
            scope: The limit that the request counts against.

        Raises:
            RateLimitExceeded: The address has used up the limit.
        """
        self._count(request, scope, f"address:{request.scope['state']['client_ip']}")

    def _count(self, request: Request, scope: Scope, client: str) -> None:
        standing = self._rates.count(scope, client)
        if standing is None:
            return
        state = request.scope["state"]
        known = state.get("standing")
        # Callers are told of the limit that they will meet first.
        if known is None or standing.remaining <= known.remaining:
            state["standing"] = standing
        if standing.exceeded:
            raise RateLimitExceeded(retry_after_seconds=_wait(standing))


def _wait(standing: Standing) -> float:
    return max(0.0, standing.reset - time.time())


def admit(request: Request, *scopes: Scope) -> Principal:
    """Let a known caller in; see `Admission.admit`."""
    admission: Admission = request.app.state.admission
    return admission.admit(request, *scopes)


def admit_anyone(request: Request, scope: Scope) -> None:
    """Let a caller in who needs no token; see `Admission.admit_anyone`."""
    admission: Admission = request.app.state.admission
    admission.admit_anyone(request, scope)
