"""What the operator decides, as one typed, frozen value."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    Field,
    PrivateAttr,
    SecretStr,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import (
    InitSettingsSource,
)

from llm_proxy.setting_rules import (
    CHECKS,
    parse_origins,
    parse_tokens,
)
from llm_proxy.settings.state import Count, Seconds, StateSettings, Wait
from llm_proxy.variables import HOSTED, VariablesSource

# How long the SDKs of OpenAI and Anthropic wait unless they are told otherwise.
_SDK_TIMEOUT = 600.0


class Settings(StateSettings):
    """What the operator decides; an environment variable per field, in upper case.

    Arguments win over the environment. Only `load_settings` reads the ``.env`` file, so
    that a program which builds its own settings gets no more than it asked for.

    Raises:
        ValidationError: A value is missing or not acceptable.
        SettingsError: The ``.env`` file or the AWS secret cannot be used.
    """

    environment: Literal["development", "testing", "staging", "production"] = (
        "development"
    )
    """Where the service runs; staging and production accept no weak settings."""
    debug: bool = False
    """Logs `debug` lines in development; refused in staging and production."""
    service_name: str = "llm-proxy"
    """The name of this service in logs and in the id of its AWS secret."""
    host: str = "127.0.0.1"
    """The address to listen on; 0.0.0.0 in a container."""
    port: int = Field(default=8000, ge=0, le=65535)
    """The port to listen on; 0 takes any free one."""
    docs_enabled: bool = True
    """Whether `/docs` and `/openapi.json` are served."""
    config_file: Path | None = None
    """The file of models and providers; default `llm-proxy.yaml`, if it exists."""
    secrets_manager_id: str | None = None
    """The AWS secret for staging and production, such as {service}/{environment}."""

    api_token: SecretStr
    """The accepted tokens, comma-separated, each `name:token` or only a token."""
    allow_query_token: bool = True
    """Whether `?api_token=` is accepted; other programs may log such addresses."""
    auth_failure_limit: Count = 20
    """Failed attempts to authenticate per minute and client address."""
    trusted_proxies: str = ""
    """Load balancers that may name the client, as addresses or CIDR networks."""
    allowed_origins: str | None = None
    """Origins for CORS or `*`; default `*` locally, none in staging and production."""
    metrics_token: SecretStr | None = None
    """The token for `/metrics`, which needs one outside development."""

    llm_provider: str = "openai"
    """The provider of a request that names none."""
    llm_fallback_provider: str | None = None
    """The provider that is asked when the first one cannot answer."""
    openai_api_key: SecretStr | None = None
    """The key for OpenAI."""
    openai_base_url: str | None = None
    """Replaces the address of the OpenAI API."""
    openai_model: str = "gpt-4"
    """The OpenAI model of a request that names none."""
    anthropic_api_key: SecretStr | None = None
    """The key for Anthropic."""
    anthropic_base_url: str | None = None
    """Replaces the address of the Anthropic API."""
    anthropic_model: str = "claude-sonnet-4-5"
    """The Anthropic model of a request that names none."""
    anthropic_max_tokens: Count = 1024
    """Tokens of an Anthropic answer when the request sets no bound."""
    local_model_path: Path | None = None
    """A GGUF file for the `local` provider, in place of the demo model."""

    request_timeout: Seconds = 30.0
    """Seconds for which a provider may be silent."""
    connect_timeout: Seconds = 5.0
    """Seconds to connect to a provider."""
    request_deadline: Seconds = 120.0
    """Seconds for all attempts and waits of one call; a stream, to its first text."""
    v1_timeout: Seconds | None = None
    """The same two for `/v1`; default 600, or what is set for all."""
    stream_idle_timeout: Seconds = 60.0
    """Seconds between two pieces of a stream; never more than the silence allowed."""
    stream_deadline: Seconds = 600.0
    """Seconds for a streamed answer as a whole."""
    retry_attempts: int = Field(default=3, ge=1, le=10)
    """Attempts per set of deployments, the first one included."""
    retry_multiplier: Wait = 1.0
    """Seconds that the exponential wait between attempts starts from."""
    retry_min_seconds: Wait = 4.0
    """The shortest wait between attempts, in seconds."""
    retry_max_seconds: Wait = 10.0
    """The longest wait between attempts, in seconds."""
    retry_after_max_seconds: Wait = 60.0
    """The longest wait that a provider may ask for, in seconds."""
    breaker_failures: int = Field(default=5, ge=0)
    """Failures in a row, or half of the latest 20, bring a cool-down; 0 for never."""
    breaker_cooldown_seconds: Seconds = 30.0
    """Seconds of a cool-down."""

    max_in_flight: Count = 1000
    """Calls that may run at the same time; more wait."""
    max_queued: int = Field(default=100, ge=0)
    """Calls that may wait for their turn; more are answered with 503."""
    queue_timeout: Seconds = 5.0
    """Seconds for which a call waits for its turn."""
    max_connections: Count = 4096
    """Connections of clients that may be open; more are answered with 503."""
    max_prompt_length: Count = 4000
    """Characters of a prompt."""
    max_body_bytes: Count = 1_048_576
    """Bytes of a request body."""
    max_v1_body_bytes: Count = 33_554_432
    """Bytes of a request body, or of an answer, on `/v1`."""
    max_head_bytes: Count = 65_536
    """Bytes of a request's line and headers."""
    max_response_bytes: Count = 10_485_760
    """Bytes of a provider's answer."""
    max_stored_bytes: Count = 67_108_864
    """Bytes of responses that are kept for `/v1/responses`, a quarter per owner."""
    head_timeout: Seconds = 10.0
    """Seconds for a client to send its headers."""
    body_timeout: Seconds = 30.0
    """Seconds for a client to send its body."""
    shutdown_timeout: Seconds = 25.0
    """Seconds from SIGTERM to the end of the process; the rest is cut before."""
    rate_limit_enabled: bool = True
    """Whether requests are limited."""
    rate_limit: Count = 60
    """Requests per minute and client."""
    rate_limit_chat: Count | None = None
    """A stricter limit for `/chat` and `/v1`, per minute and client."""
    rate_limit_webhook: Count | None = None
    """A stricter limit for `/webhook`, per minute and client."""
    rate_limit_health: Count = 600
    """Requests per minute and client for the health routes."""

    pii_redaction_enabled: bool = True
    """Whether personal data is redacted before a prompt leaves."""
    prompt_guard_mode: Literal["block", "flag", "off"] = "block"
    """What happens to a prompt that looks like an injection."""
    prompt_templates_dir: Path | None = None
    """A folder whose files replace the built-in prompt templates."""

    log_level: Literal["debug", "info", "warn", "error"] = "info"
    """The least severe lines to log; `debug` means `info` outside development."""
    log_format: Literal["json", "text"] | None = None
    """How lines are written; default `text` in development, `json` elsewhere."""
    log_file: Path | None = None
    """A file for the log in place of standard output."""
    log_max_bytes: Count = 10_000_000
    """Bytes of the log file before it is rotated."""
    log_backup_count: int = Field(default=5, ge=0)
    """Rotated log files that are kept."""

    _variables: Mapping[str, Any] = PrivateAttr(default_factory=dict)

    def __init__(self, _env_file: str | None = None, **values: object) -> None:
        given = InitSettingsSource(type(self), values)
        variables = VariablesSource(type(self), _env_file)
        super().__init__(_build_sources=((given, variables), values))  # type: ignore[call-arg]
        own = {name.lower(): value for name, value in values.items()}
        self._variables = {**variables.found, **own}

    @property
    def tokens(self) -> Mapping[str, str]:
        """The accepted API tokens by name."""
        return parse_tokens(self.api_token.get_secret_value())

    @property
    def cors_origins(self) -> tuple[str, ...]:
        """The origins that browsers may call from; ``*`` stands for all."""
        if self.allowed_origins is not None:
            return parse_origins(self.allowed_origins)
        return () if self.environment in HOSTED else ("*",)

    @property
    def v1_request_timeout(self) -> float:
        """Seconds for which a provider may be silent when it answers on `/v1`."""
        return self._v1_seconds("request_timeout", self.request_timeout)

    @property
    def v1_request_deadline(self) -> float:
        """Seconds for all attempts and waits of one call on `/v1`."""
        return self._v1_seconds("request_deadline", self.request_deadline)

    def _v1_seconds(self, general: str, seconds: float) -> float:
        if self.v1_timeout is not None:
            return self.v1_timeout
        return seconds if general in self.model_fields_set else _SDK_TIMEOUT

    @property
    def effective_log_level(self) -> Literal["debug", "info", "warn", "error"]:
        """The log level: ``debug`` only in development, where `debug` brings it."""
        if self.environment == "development":
            return "debug" if self.debug else self.log_level
        return "info" if self.log_level == "debug" else self.log_level

    @property
    def effective_log_format(self) -> Literal["json", "text"]:
        """The log format, by environment unless it is set."""
        return self.log_format or (
            "text" if self.environment == "development" else "json"
        )

    def variable(self, name: str) -> str | None:
        """Look up a variable that need not be a field, such as ``GROQ_API_KEY``.

        Args:
            name: The name in the environment; case does not matter.

        Returns:
            The value from where the fields come from, in the same order; None when it
            is missing or empty.
        """
        key = name.lower()
        is_field = key in type(self).model_fields
        value = getattr(self, key) if is_field else self._variables.get(key)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        return None if value is None else str(value) or None

    @field_validator(*CHECKS)
    @classmethod
    def _check(cls, value: object, info: ValidationInfo) -> object:
        if value is not None and info.field_name is not None:
            CHECKS[info.field_name](value, info.data.get("environment", ""))
        return value

    @field_validator("retry_max_seconds")
    @classmethod
    def _check_waits(cls, value: float, info: ValidationInfo) -> float:
        if value < info.data.get("retry_min_seconds", 0):
            raise ValueError("must not be less than RETRY_MIN_SECONDS")
        return value
