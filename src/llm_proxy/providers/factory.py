"""The registry of providers, and the factory that makes one from its name."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from llm_proxy.config import ProxyConfig
from llm_proxy.errors import ProviderNotConfiguredError, UnknownProviderError
from llm_proxy.providers.anthropic_provider import AnthropicProvider
from llm_proxy.providers.azure_provider import AzureProvider
from llm_proxy.providers.base import LLMProvider
from llm_proxy.providers.bedrock_provider import BedrockProvider
from llm_proxy.providers.connections import Connections, variable_of
from llm_proxy.providers.gemini_provider import GeminiProvider
from llm_proxy.providers.http_provider import HTTPProvider
from llm_proxy.providers.openai_provider import OpenAIProvider
from llm_proxy.providers.presets import PRESETS, Preset
from llm_proxy.providers.sandbox_provider import SandboxProvider
from llm_proxy.settings import Settings
from llm_proxy.transport import UpstreamClient
from llm_proxy.types import NO_TIMEOUTS, Timeouts

PROVIDERS: dict[str, type[HTTPProvider]] = {
    **dict.fromkeys(PRESETS, OpenAIProvider),
    "anthropic": AnthropicProvider,
    "azure": AzureProvider,
    "bedrock": BedrockProvider,
    "gemini": GeminiProvider,
    "sandbox": SandboxProvider,
}
_APIS: Mapping[str, type[HTTPProvider]] = {
    "openai": OpenAIProvider,
    "anthropic": AnthropicProvider,
    "azure": AzureProvider,
    "bedrock": BedrockProvider,
    "gemini": GeminiProvider,
}
# A caller chooses the model's name, so what is kept per name has to be bounded.
_MAX_KEPT = 1024


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """A provider that the operator has set up.

    Attributes:
        name: Its name.
        address: Its base URL, or that it is an upstream of our own.
        model: The model used when nobody names one.
    """

    name: str
    address: str
    model: str | None


class ProviderFactory:
    """Makes providers by name, from the registry, the settings and the configuration.

    Args:
        settings: Give keys, base URLs and time-outs.
        config: Its ``providers`` add upstreams or change known ones.
        client: Carries the requests of all providers.
    """

    def __init__(
        self, settings: Settings, config: ProxyConfig, client: UpstreamClient
    ) -> None:
        self._settings = settings
        self._entries = {
            name.lower(): entry for name, entry in config.providers.items()
        }
        self._connections = Connections(settings, self._entries, client)
        self._providers: dict[tuple[str, str, Timeouts], LLMProvider] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names that `get_provider` knows, sorted."""
        hidden = {
            name
            for name, preset in PRESETS.items()
            if preset.for_development and not self._in_development
        }
        return tuple(sorted({*PROVIDERS, *self._entries} - hidden))

    def get_provider(
        self, name: str, model: str, timeouts: Timeouts = NO_TIMEOUTS
    ) -> LLMProvider:
        """Make the provider for one model; the same names give the same object.

        Args:
            name: The provider's name, in any case.
            model: The upstream's name of the model.
            timeouts: How long it may take.

        Returns:
            The provider.

        Raises:
            UnknownProviderError: Nobody has this name; a `ValueError`.
            ProviderNotConfiguredError: Its key is missing; a `ValueError`.
        """
        key = name, model, timeouts
        provider = self._providers.get(key)
        if provider is None:
            known = self._known(name)
            connection = self._connections.get(known)
            connection = replace(connection, timeouts=connection.timeouts | timeouts)
            provider = self._class_of(known)(model, connection)
            if len(self._providers) >= _MAX_KEPT:
                del self._providers[next(iter(self._providers))]
            self._providers[key] = provider
        return provider

    def default_model(self, name: str) -> str:
        """Say which model is used when nobody names one.

        Args:
            name: The provider's name, in any case.

        Returns:
            The upstream's name of the model.

        Raises:
            UnknownProviderError: Nobody has this name.
            ProviderNotConfiguredError: No model is configured.
        """
        known = self._known(name)
        model = self._model(known)
        if model is None:
            raise ProviderNotConfiguredError(
                f"No model is configured for the provider {known!r}",
                log_detail=f"{variable_of(known, 'MODEL')} is not set",
            )
        return model

    def status(self) -> list[ProviderStatus]:
        """List the providers that the operator has set up.

        Returns:
            Those with what they need, sorted by name. Where no key is needed, somebody
            must have named them: in the settings or in the configuration.
        """
        return [
            ProviderStatus(
                name,
                self._connections.get(name).base_url or "this machine",
                self._model(name),
            )
            for name in self.names
            if self._is_set_up(name)
        ]

    async def aclose(self) -> None:
        """Stop the upstreams of our own and close all connections."""
        await self._connections.aclose()

    @property
    def _in_development(self) -> bool:
        return self._settings.environment in ("development", "testing")

    def _known(self, name: str) -> str:
        known = name.lower()
        if known in PROVIDERS or known in self._entries:
            preset = PRESETS.get(known)
            if preset is None or not preset.for_development or self._in_development:
                return known
        near = difflib.get_close_matches(known, self.names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UnknownProviderError(
            f"Unknown provider.{hint} Known: {', '.join(self.names)}"
        )

    def _class_of(self, name: str) -> type[HTTPProvider]:
        entry = self._entries.get(name)
        if entry is not None and name not in PRESETS:
            return _APIS[entry.api]
        return PROVIDERS[name]

    def _model(self, name: str) -> str | None:
        entry, preset = self._entries.get(name), PRESETS.get(name)
        return (
            (entry.model if entry is not None else None)
            or self._settings.variable(variable_of(name, "MODEL"))
            or (preset.model if preset is not None else None)
        )

    def _is_set_up(self, name: str) -> bool:
        settings, preset = self._settings, PRESETS.get(name, Preset())
        if preset.keys:
            return self._connections.key(name) is not None
        chosen = (settings.llm_provider, settings.llm_fallback_provider or "")
        return (
            name in self._entries
            or name in map(str.lower, chosen)
            or preset.server is not None
            or settings.variable(variable_of(name, "BASE_URL")) is not None
            or any(settings.variable(variable) for variable in preset.urls)
        )
