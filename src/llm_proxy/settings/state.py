"""What the operator decides about what is remembered: calls, keys and answers."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from llm_proxy.setting_rules import parse_surfaces
from llm_proxy.types import SurfaceName

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Wait = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class StateSettings(BaseSettings):
    """What is remembered, where, and for how long."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        validate_default=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    database_url: SecretStr = SecretStr("sqlite:///.llm-proxy/llm-proxy.db")
    """The database, SQLite or Postgres; `off` keeps no ledger and has no keys."""
    spool_dir: Path = Path(".llm-proxy/spool")
    """A folder for what the database does not take."""
    redis_url: SecretStr | None = None
    """A Redis for what several processes share: limits, budgets and cached answers."""
    shared_limits: Literal["refuse", "process"] = "refuse"
    """Without Redis, several processes are refused, or each keeps limits of its own."""
    budget_failure: Literal["closed", "open"] = "closed"
    """Whether calls that a budget bounds are made while nobody can count the money."""
    reserved_output_tokens: Count = 4096
    """Tokens set aside for an answer whose length the request does not bound."""

    key_pepper: SecretStr | None = None
    """The secret behind stored virtual keys; default: a file beside the database."""
    key_grace_seconds: Wait = 3600.0
    """How long known virtual keys work while the database is away."""
    jwt_secret_key: SecretStr | None = None
    """Signs the tokens of `/api/v1/auth/token`, which needs it; 32 characters."""
    jwt_seconds: float = Field(default=3600.0, ge=1, allow_inf_nan=False)
    """The longest life of such a token."""
    oidc_issuer: str | None = None
    """An identity provider whose tokens are accepted, as they say in `iss`."""
    oidc_audience: str | None = None
    """What such a token must say in `aud`; required with an issuer."""
    oidc_roles_claim: str = "roles"
    """Where such a token names roles of this service."""
    oidc_default_role: Literal["operator", "developer", "viewer"] | None = None
    """The role of a token that names none; by default it is refused."""

    cache_policy: Literal["off", "all", "smart"] = "all"
    """Which answers are cached: all, or what is expensive or often asked for."""
    cache_ttl: Seconds = 3600.0
    """Seconds for which an answer is cached by the policy `all`."""
    cache_surfaces: str = "chat,webhook"
    """The surfaces whose answers are cached, of chat, webhook, openai, anthropic."""
    max_cache_bytes: Count = 67_108_864
    """Bytes of cached answers in memory."""
    semantic_cache_threshold: float | None = Field(default=None, ge=0.9, le=1)
    """How alike two questions must be to get one answer; default: only exact ones."""

    @property
    def has_database(self) -> bool:
        """Whether there is a database at all."""
        return self.database_url.get_secret_value() != "off"

    @property
    def cached_surfaces(self) -> frozenset[SurfaceName]:
        """The surfaces whose answers are cached."""
        return parse_surfaces(self.cache_surfaces)
