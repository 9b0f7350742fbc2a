"""What is said about virtual keys over HTTP."""

from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from llm_proxy.api.management import (
    PAGE_LENGTH,
    AnswerMeta,
    PageLimit,
    PageMeta,
    Query,
    ShortText,
    StrictBody,
)
from llm_proxy.config.limits import AllowanceConfig
from llm_proxy.security.key_rows import read_moment
from llm_proxy.security.key_store import MAX_OVERLAP_SECONDS
from llm_proxy.types import AccessRole, Period, Scope, SurfaceName

_LONGEST_NAME = 255
_MOST_ITEMS = 100


def _read_network(value: object) -> IPv4Network | IPv6Network:
    try:
        return ip_network(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError("must be an address or a network such as 10.0.0.0/8") from None


def _read_moment(value: object) -> datetime:
    try:
        return read_moment(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError("must be a moment such as 2027-01-01T00:00:00Z") from None


def _without_defaults(schema: dict[str, Any]) -> None:
    for field in schema["properties"].values():
        field.pop("default", None)


_Name = Annotated[str, Field(max_length=_LONGEST_NAME)]
_NonEmptyName = Annotated[str, Field(min_length=1, max_length=_LONGEST_NAME)]
_Names = Annotated[list[_Name], Field(max_length=_MOST_ITEMS)]
_Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_read_network)]
_Networks = Annotated[list[_Network], Field(max_length=_MOST_ITEMS)]
_Expiry = Annotated[datetime, BeforeValidator(_read_moment)]


class KeyBody(StrictBody):
    """A key to make: whose it is, what it may do, and for how long."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "name": "spreadsheets",
                "team": "sales",
                "role": "developer",
                "models": ["openai/*"],
                "allowance": {"requests_per_minute": 60, "budgets": {"month": 20}},
                "expires_at": "2027-12-31T00:00:00Z",
            }
        }
    )

    name: _NonEmptyName
    organisation: _Name | None = Field(None, description="Default: the caller's own.")
    team: _Name | None = Field(None, description="Default: the caller's own.")
    owner: _Name = Field("", description="The person whose key it is.")
    project: _Name = Field("", description="What its calls are for.")
    tags: _Names = Field([], description="Words of the operator's.")
    role: AccessRole = "developer"
    scopes: list[Scope] | None = Field(
        None, description="Those of the role that it has. Default: all of them."
    )
    models: _Names | None = Field(
        None,
        description="Names of models that it may ask, `*` for any text. Default: all.",
    )
    surfaces: list[SurfaceName] | None = Field(
        None, description="Where it may ask them. Default: everywhere."
    )
    networks: _Networks = Field(
        [], description="Where its calls may come from. Default: anywhere."
    )
    allowance: AllowanceConfig = Field(
        AllowanceConfig(), description="As below `limits` in llm-proxy.yaml."
    )
    expires_at: _Expiry | None = Field(None, description="Default: never.")


class KeyChangesBody(StrictBody):
    """What to change of a key; what is left out stays as it is."""

    model_config = ConfigDict(
        # Nothing takes the place of what is left out.
        json_schema_extra=_without_defaults
    )

    name: _NonEmptyName = ""
    project: _Name = ""
    tags: _Names = Field([])
    models: _Names | None = Field(None, description="Null for all.")
    surfaces: list[SurfaceName] | None = Field(None, description="Null for all.")
    networks: _Networks = Field([], description="Empty for anywhere.")
    allowance: AllowanceConfig = Field(
        AllowanceConfig(),
        description="In the place of the whole one: bounds that it does not name end.",
    )
    expires_at: _Expiry | None = Field(None, description="Null for never.")


class RotateBody(StrictBody):
    """How a key gets another secret."""

    overlap_seconds: float = Field(
        3600.0,
        ge=0,
        le=MAX_OVERLAP_SECONDS,
        description="How long the secret before it stays valid.",
    )


class KeysParameters(Query):
    """Which keys to list."""

    organisation: ShortText | None = Field(None, description="Only its keys.")
    team: ShortText | None = Field(None, description="Only its keys.")
    owner: ShortText | None = Field(None, description="Only this person's keys.")
    project: ShortText | None = Field(None, description="Only keys for this project.")
    after: ShortText = Field("", description="`meta.next` of the page before.")
    limit: PageLimit = Field(PAGE_LENGTH, description="The most keys of a page.")


class BudgetsData(BaseModel):
    """Money in US dollars, by period."""

    day: str | None = None
    month: str | None = None
    total: str | None = None
    warn_at: float | None = None


class AllowanceData(BaseModel):
    """How much a key may use; null is without a bound."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_requests: int | None
    budgets: BudgetsData


class KeyData(BaseModel):
    """A virtual key, without its secret."""

    id: str
    name: str
    organisation: str
    team: str
    owner: str
    project: str
    tags: list[str]
    role: AccessRole
    scopes: list[Scope] | None
    models: list[str] | None
    surfaces: list[SurfaceName] | None
    networks: list[IPv4Network | IPv6Network]
    allowance: AllowanceData
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None


class SpendingData(BaseModel):
    """A budget of a key's own, in US dollars, and what the ledger has of it."""

    period: Period
    limit: str
    spent: str
    remaining: str


class ShownKeyData(KeyData):
    """A virtual key, how its budgets stand, and whether older secrets work."""

    budgets: list[SpendingData]
    older_secrets_until: datetime | None = Field(
        description="When the last secret ends that a rotation has replaced."
    )


class NewKeyData(KeyData):
    """A virtual key with a new secret."""

    secret: str = Field(description="Shown here and never again.")


class KeyAnswer(BaseModel):
    """One key."""

    data: KeyData
    meta: AnswerMeta


class ShownKeyAnswer(BaseModel):
    """One key, and how its budgets stand."""

    data: ShownKeyData
    meta: AnswerMeta


class NewKeyAnswer(BaseModel):
    """One key, and its secret."""

    data: NewKeyData
    meta: AnswerMeta


class KeysAnswer(BaseModel):
    """A page of keys, in the order of their ids."""

    data: list[KeyData]
    meta: PageMeta
