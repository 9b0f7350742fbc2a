"""llm-proxy.yaml: what it may say, and how it is read."""

from llm_proxy.config.limits import AllowanceConfig, LimitsConfig
from llm_proxy.config.loading import (
    DEFAULT_PATH,
    GuardrailsConfig,
    ProxyConfig,
    load_config,
)
from llm_proxy.config.models import (
    ALIAS_PROVIDER,
    AffinityConfig,
    ComplexityConfig,
    DeploymentConfig,
    ModelConfig,
    TimeoutsConfig,
)
from llm_proxy.config.prices import PriceConfig
from llm_proxy.config.providers import ProviderConfig

__all__ = [
    "ALIAS_PROVIDER",
    "DEFAULT_PATH",
    "AffinityConfig",
    "AllowanceConfig",
    "ComplexityConfig",
    "DeploymentConfig",
    "GuardrailsConfig",
    "LimitsConfig",
    "ModelConfig",
    "PriceConfig",
    "ProviderConfig",
    "ProxyConfig",
    "TimeoutsConfig",
    "load_config",
]
