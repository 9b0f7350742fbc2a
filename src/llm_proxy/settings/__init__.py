"""The environment as one value; nothing else reads it."""

from llm_proxy.settings.fields import Settings
from llm_proxy.settings.loading import ConfigurationError, load_settings

__all__ = ["ConfigurationError", "Settings", "load_settings"]
