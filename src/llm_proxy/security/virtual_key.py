"""What a virtual key is: whose it is, what it may do, and for how long."""

import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from llm_proxy.security.address import Network
from llm_proxy.types import (
    ROLES,
    UNBOUNDED,
    AccessRole,
    Allowance,
    Principal,
    Scope,
    SurfaceName,
)

_ID = re.compile(r"key_[0-9a-f]{16}")


def _new_id() -> str:
    return f"key_{secrets.token_hex(8)}"


def _now() -> float:
    # Databases keep milliseconds.
    return round(time.time(), 3)


@dataclass(frozen=True, slots=True)
class VirtualKey:
    """A key as the operator sees it; its secret is shown once and kept nowhere.

    Only `name` is required: the rest describes a key without owner or bound, made now.
    `check_key` tells whether such a value may be stored, and `may_grant` who may do it.

    Attributes:
        name: What people call it; need not be unique.
        organisation: To which it belongs; may be empty, as the next three.
        team: The team.
        owner: The person.
        project: What the calls are for.
        tags: Words of the operator's.
        role: Where the scopes come from.
        scopes: Those of the role that it has; None for all of them.
        models: Patterns (`fnmatch`) of the names of models that may be asked; None for
            all.
        surfaces: The surfaces that may be used; None for all.
        networks: Where calls may come from; empty for anywhere.
        allowance: How much it may use.
        created_by: The name of the principal that has made it.
        expires_at: When it ends by itself, in seconds since the epoch; None for never.
        revoked_at: When it was ended, in seconds since the epoch.
        created_at: When it was made, in seconds since the epoch.
        id: Names the key wherever its secret must not be seen.
    """

    name: str
    organisation: str = ""
    team: str = ""
    owner: str = ""
    project: str = ""
    tags: tuple[str, ...] = ()
    role: AccessRole = "developer"
    scopes: frozenset[Scope] | None = None
    models: tuple[str, ...] | None = None
    surfaces: frozenset[SurfaceName] | None = None
    networks: tuple[Network, ...] = ()
    allowance: Allowance = UNBOUNDED
    created_by: str = ""
    expires_at: float | None = None
    revoked_at: float | None = None
    created_at: float = field(default_factory=_now)
    id: str = field(default_factory=_new_id)

    @property
    def principal(self) -> Principal:
        """Who calls with this key."""
        scopes = ROLES[self.role]
        return Principal(
            name=self.id,
            role=self.role,
            scopes=scopes if self.scopes is None else scopes & self.scopes,
            organisation=self.organisation,
            team=self.team,
            user=self.owner,
            project=self.project,
            tags=self.tags,
            models=self.models,
            surfaces=self.surfaces,
            networks=self.networks,
            expires_at=self.expires_at,
            allowance=self.allowance,
        )

    def is_usable(self, now: float) -> bool:
        """Tell whether calls may still be made with it.

        Args:
            now: Seconds since the epoch.

        Returns:
            Whether it is neither revoked nor expired.
        """
        has_expired = self.expires_at is not None and self.expires_at <= now
        return self.revoked_at is None and not has_expired


class EndedKey(NamedTuple):
    """A key that may not be used any more, for the operator; callers are not told.

    Attributes:
        id: Of the key; of a token for one of ``API_TOKEN`` the name of that.
        reason: How it has ended. A secret that a rotation has replaced is ``expired``,
            and so is a short-lived token of a key that has not ended.
    """

    id: str
    reason: Literal["revoked", "expired"]


def is_key_id(text: str) -> bool:
    """Tell whether a text may be the id of a virtual key.

    Args:
        text: Anything, of any length.

    Returns:
        Whether it is written as ids are.
    """
    return _ID.fullmatch(text) is not None
