"""llm-proxy.yaml: what it may say, and how it is read."""

from llm_proxy.config.loading import (
    DEFAULT_PATH,
    GuardrailsConfig,
    ProxyConfig,
    load_config,
)
from llm_proxy.config.models import (
    AffinityConfig,
    ComplexityConfig,
    DeploymentConfig,
    ModelConfig,
    TimeoutsConfig,
)
from llm_proxy.config.providers import ProviderConfig

__all__ = [
    "DEFAULT_PATH",
    "AffinityConfig",
    "ComplexityConfig",
    "DeploymentConfig",
    "GuardrailsConfig",
    "ModelConfig",
    "ProviderConfig",
    "ProxyConfig",
    "TimeoutsConfig",
    "load_config",
]
