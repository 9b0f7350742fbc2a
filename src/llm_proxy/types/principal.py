"""Who is calling, and what they may do."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from llm_proxy.types.allowance import UNBOUNDED, Allowance, Subject

AccessRole = Literal["admin", "operator", "developer", "viewer"]
Scope = Literal[
    "models:call",
    "models:read",
    "usage:read",
    "usage:read_all",
    "keys:read",
    "keys:write",
    "audit:read",
    "cache:purge",
    "metrics:read",
]
SurfaceName = Literal["chat", "webhook", "openai", "anthropic"]

_VIEWER: frozenset[Scope] = frozenset(("models:read", "usage:read"))
_DEVELOPER: frozenset[Scope] = _VIEWER.union(("models:call",))
_OPERATOR: frozenset[Scope] = _DEVELOPER.union(
    ("usage:read_all", "keys:read", "cache:purge", "metrics:read")
)
_ADMIN: frozenset[Scope] = _OPERATOR.union(("keys:write", "audit:read"))
# What each role may do; what stands in none of them nobody may do.
ROLES: dict[AccessRole, frozenset[Scope]] = {
    "admin": _ADMIN,
    "operator": _OPERATOR,
    "developer": _DEVELOPER,
    "viewer": _VIEWER,
}


@dataclass(frozen=True)
class Principal:
    """Who is calling, and what they may do.

    Attributes:
        name: Under which logs, limits, the ledger and caches know the caller: the name
            of a token of ``API_TOKEN``, the id of a virtual key, or ``oidc:`` and the
            subject. No two callers share one.
        role: Where the scopes come from; one that nobody has given may do nothing.
        scopes: What the caller may do.
        organisation: To which the caller belongs; may be empty, as the next four.
        team: The team.
        user: The person.
        project: What the calls are for.
        tags: Words of the operator's.
        models: Patterns (`fnmatch`) of the names of models that may be asked; None for
            all.
        surfaces: The surfaces that may be used; None for all.
        networks: Where calls may come from; empty for anywhere.
        expires_at: When the caller is nobody any more, in seconds since the epoch.
        allowance: How much the caller may use.
        credential: A digest of the secret that the caller has come with, for what is
            issued to end with it; empty for who can have nothing issued.
    """

    name: str
    role: AccessRole | None = None
    scopes: frozenset[Scope] = frozenset()
    organisation: str = ""
    team: str = ""
    user: str = ""
    project: str = ""
    tags: tuple[str, ...] = ()
    models: tuple[str, ...] | None = None
    surfaces: frozenset[SurfaceName] | None = None
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    expires_at: float | None = None
    allowance: Allowance = UNBOUNDED
    # Whichever credential it is, it is the same caller.
    credential: str = field(default="", compare=False, repr=False)

    def may_ask(self, model: str) -> bool:
        """Say whether a model's name is among those that may be asked.

        Args:
            model: An alias, or a provider and its model as ``provider/model``.

        Returns:
            Whether a pattern fits, in any case of letters.
        """
        return self.models is None or any(
            fnmatchcase(model.lower(), pattern.lower()) for pattern in self.models
        )

    @cached_property
    def subjects(self) -> tuple[Subject, ...]:
        """Whose use grows with the caller's: the key, its user, team, organisation."""
        named = (
            Subject("key", self.name),
            Subject("user", self.user, self.organisation),
            Subject("team", self.team, self.organisation),
            Subject("organisation", self.organisation),
        )
        return tuple(subject for subject in named if subject.name)
