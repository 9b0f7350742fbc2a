"""Who may come in: authentication, permissions and limits, before a body is read."""

import time
from ipaddress import ip_address
from typing import NamedTuple

from fastapi import Request

from llm_proxy.errors import (
    AuthenticationError,
    AuthenticationThrottledError,
    ForbiddenError,
    InvalidInputError,
    RateLimitExceeded,
)
from llm_proxy.limits import RateLimits, RouteKind, Standing
from llm_proxy.security import Identities, read_token
from llm_proxy.telemetry import get_logger
from llm_proxy.types import Principal, Scope, SurfaceName

_log = get_logger(__name__)
# What asks a model; everything else is quick, and of use while the service stops.
_WORK: frozenset[RouteKind] = frozenset(("chat", "webhook"))


class Access(NamedTuple):
    """Who may use a route.

    Attributes:
        scope: What they must be allowed to do; None lets in anyone, and nobody whom
            `Admission.admit` is asked about.
        surface: The surface that the route belongs to; None for one that is no way to
            ask a model.
    """

    scope: Scope | None
    surface: SurfaceName | None = None


ANYONE = Access(None)


class Admission:
    """Decides over a request by its head alone.

    Args:
        identities: Know whose token it is.
        rates: Count requests.
        allow_query_token: Whether ``?api_token=`` counts.
    """

    def __init__(
        self, identities: Identities, rates: RateLimits, allow_query_token: bool
    ) -> None:
        self._identities = identities
        self._rates = rates
        self._allow_query_token = allow_query_token

    async def admit(self, request: Request, *kinds: RouteKind) -> Principal:
        """Let a known caller in who may use the route.

        Args:
            request: Its headers and query are read, its body is not.
            kinds: The limits that the request counts against.

        Returns:
            Who is calling.

        Raises:
            AuthenticationError: There is no valid token.
            InvalidInputError: There are two different ones.
            AuthenticationThrottledError: The address has guessed too often.
            StorageUnavailableError: Whose token it is cannot be found out now.
            ForbiddenError: The caller may not do this, or not from there.
            OverloadedError: It is new work, and the service is stopping or full.
            RateLimitExceeded: The caller has used up a limit.
        """
        principal = await self.identify(request)
        if not _WORK.isdisjoint(kinds):
            request.app.state.drain.check()
            request.app.state.places.check()
        own = principal.allowance.requests_per_minute
        for kind in kinds:
            self._count(request, kind, f"token:{principal.name}", own)
        # The route that was matched, and not the address: an address can be written in
        # more ways than one (CVE-2026-48710).
        access: Access = request.scope["route"].access
        if (refusal := _refusal(principal, access)) is not None:
            _log.warning("access_denied", scope=access.scope, reason=refusal)
            raise ForbiddenError(details={"reason": refusal, "scope": access.scope})
        return principal

    async def identify(self, request: Request) -> Principal:
        """Find out who is calling, once for a request.

        Args:
            request: As for `admit`.

        Returns:
            Who is calling, from an address that the credential is valid at.

        Raises:
            APIError: As `admit`, except what is about the route and its limits.
        """
        state = request.scope["state"]
        caller: Principal | None = state.get("caller")
        if caller is not None:
            return caller
        token = self._read_token(request)
        principal = None
        if token is not None:
            principal = self._identities.known(token)
            if principal is None:
                principal = await self._identities.find(token)
        if principal is None:
            ended = None if token is None else self._identities.find_ended(token)
            if ended is not None:
                self._refuse(state, ended.reason, request, key=ended.id)
            else:
                self._refuse(state, "missing" if token is None else "unknown", request)
            raise AuthenticationError
        state["principal"] = principal.name
        if principal.networks and not _is_within(principal, state["client_ip"]):
            self._refuse(state, "address", request)
            raise ForbiddenError(details={"reason": "address"})
        state["caller"] = principal
        return principal

    def _read_token(self, request: Request) -> str | None:
        try:
            return read_token(
                request.scope["headers"],
                request.scope["query_string"],
                self._allow_query_token,
            )
        except InvalidInputError:
            # Nothing else would count such requests.
            self._count_failure(request.scope["state"]["client_ip"])
            raise

    def _refuse(
        self, state: dict[str, str], reason: str, request: Request, **more: str
    ) -> None:
        client_ip = state["client_ip"]
        path = request.scope["path"]
        _log.warning(
            "auth_failed", client_ip=client_ip, path=path, reason=reason, **more
        )
        # Only failures are refused: who has a token must not be locked out by somebody
        # else behind the same address.
        self._count_failure(client_ip)

    def _count_failure(self, client_ip: str) -> None:
        standing = self._rates.count("auth_failure", f"address:{client_ip}")
        if standing is not None and standing.exceeded:
            raise AuthenticationThrottledError(retry_after_seconds=_wait(standing))

    def admit_anyone(self, request: Request, kind: RouteKind) -> None:
        """Let a caller in who needs no token.

        Args:
            request: Counted by the client's address.
            kind: The limit that the request counts against.

        Raises:
            RateLimitExceeded: The address has used up the limit.
        """
        self._count(request, kind, f"address:{request.scope['state']['client_ip']}")

    def _count(
        self, request: Request, kind: RouteKind, client: str, limit: int | None = None
    ) -> None:
        standing = self._rates.count(kind, client, limit)
        if standing is None:
            return
        state = request.scope["state"]
        known = state.get("standing")
        # Callers are told of the limit that they will meet first.
        if known is None or standing.remaining <= known.remaining:
            state["standing"] = standing
        if standing.exceeded:
            raise RateLimitExceeded(retry_after_seconds=_wait(standing))


def _refusal(principal: Principal, access: Access) -> str | None:
    if access.scope not in principal.scopes:
        return "scope"
    if (
        principal.surfaces is not None
        and access.surface is not None
        and access.surface not in principal.surfaces
    ):
        return "surface"
    return None


def _is_within(principal: Principal, client_ip: str) -> bool:
    try:
        address = ip_address(client_ip)
    except ValueError:
        return False
    return any(address in network for network in principal.networks)


def _wait(standing: Standing) -> float:
    return max(0.0, standing.reset - time.time())


async def admit(request: Request, *kinds: RouteKind) -> Principal:
    """Let a known caller in who may use the route; see `Admission.admit`."""
    admission: Admission = request.app.state.admission
    return await admission.admit(request, *kinds)


def admit_anyone(request: Request, kind: RouteKind) -> None:
    """Let a caller in who needs no token; see `Admission.admit_anyone`."""
    admission: Admission = request.app.state.admission
    admission.admit_anyone(request, kind)
