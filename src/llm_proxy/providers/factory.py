"""The registry of providers, and the factory that makes one from its name."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from llm_proxy.config import ProxyConfig
from llm_proxy.errors import ProviderNotConfiguredError, UnknownProviderError
from llm_proxy.providers.anthropic_provider import AnthropicProvider
from llm_proxy.providers.base import LLMProvider
from llm_proxy.providers.http_provider import Connection, HTTPProvider
from llm_proxy.providers.loopback import LoopbackServer
from llm_proxy.providers.openai_provider import OpenAIProvider
from llm_proxy.providers.presets import DIALECTS, PRESETS, Preset
from llm_proxy.setting_rules import check_base_url
from llm_proxy.settings import Settings
from llm_proxy.transport import UpstreamClient
from llm_proxy.wire import AnthropicMessages

PROVIDERS: dict[str, type[HTTPProvider]] = {
    **dict.fromkeys(PRESETS, OpenAIProvider),
    "anthropic": AnthropicProvider,
}
_APIS: Mapping[str, type[HTTPProvider]] = {
    "openai": OpenAIProvider,
    "anthropic": AnthropicProvider,
}
# A caller chooses the model's name, so what is kept per name has to be bounded.
_MAX_KEPT = 1024
_PORT = re.compile(r":\d+$")


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
        self._client = client
        self._connections: dict[str, Connection] = {}
        self._providers: dict[tuple[str, str], LLMProvider] = {}
        self._servers: list[LoopbackServer] = []

    @property
    def names(self) -> tuple[str, ...]:
        """The names that `get_provider` knows, sorted."""
        hidden = {
            name
            for name, preset in PRESETS.items()
            if preset.for_development and not self._in_development
        }
        return tuple(sorted({*PROVIDERS, *self._entries} - hidden))

    def get_provider(self, name: str, model: str) -> LLMProvider:
        """Make the provider for one model; the same names give the same object.

        Args:
            name: The provider's name, in any case.
            model: The upstream's name of the model.

        Returns:
            The provider.

        Raises:
            UnknownProviderError: Nobody has this name; a `ValueError`.
            ProviderNotConfiguredError: Its key is missing; a `ValueError`.
        """
        provider = self._providers.get((name, model))
        if provider is None:
            known = self._known(name)
            provider = self._class_of(known)(model, self.connection(known))
            if len(self._providers) >= _MAX_KEPT:
                del self._providers[next(iter(self._providers))]
            self._providers[name, model] = provider
        return provider

    def connection(self, name: str) -> Connection:
        """Say how an upstream is reached.

        Args:
            name: The provider's name, in lower case.

        Returns:
            The connection, the same one every time.
        """
        if name not in self._connections:
            self._connections[name] = self._connect(name)
        return self._connections[name]

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
                log_detail=f"{_variable(known, 'MODEL')} is not set",
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
                self.connection(name).base_url or "this machine",
                self._model(name),
            )
            for name in self.names
            if self._is_set_up(name)
        ]

    async def aclose(self) -> None:
        """Stop the upstreams of our own and close all connections."""
        for server in self._servers:
            await server.close()
        await self._client.aclose()

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

    def _connect(self, name: str) -> Connection:
        settings, entry = self._settings, self._entries.get(name)
        preset = PRESETS.get(name) or Preset(
            dialect=DIALECTS[entry.api if entry else "openai"]
        )
        base_url = self._base_url(name)
        dialect = preset.dialect
        if isinstance(dialect, AnthropicMessages):
            dialect = replace(dialect, default_max_tokens=settings.anthropic_max_tokens)
            # Anthropic's SDKs take the base URL without the version of the API.
            if not urlsplit(base_url).path:
                base_url += "/v1"
        server = None
        if preset.server is not None and not base_url:
            server = preset.server(settings.local_model_path)
            self._servers.append(server)
        elif not base_url:
            raise ProviderNotConfiguredError(
                log_detail=f"{_variable(name, 'BASE_URL')} is not set"
            )
        return Connection(
            name=name,
            dialect=dialect,
            client=self._client,
            base_url=base_url,
            api_key=server.api_key if server else self._key(name, preset),
            key_name=preset.keys[0] if preset.keys else "",
            headers=dict(entry.headers) if entry else {},
            server=server,
            connect_timeout=settings.connect_timeout,
            read_timeout=settings.request_timeout,
            max_body_bytes=settings.max_response_bytes,
        )

    def _key(self, name: str, preset: Preset) -> str | None:
        entry = self._entries.get(name)
        if entry is not None and entry.api_key is not None:
            return entry.api_key.get_secret_value()
        names = preset.keys or (_variable(name, "API_KEY"),)
        return next(filter(None, map(self._settings.variable, names)), None)

    def _base_url(self, name: str) -> str:
        entry = self._entries.get(name)
        url = entry.base_url if entry is not None else None
        url = url or find_base_url(name, self._settings)
        try:
            if url:
                check_base_url(url, self._settings.environment)
        except ValueError as error:
            raise ProviderNotConfiguredError(
                log_detail=f"{_variable(name, 'BASE_URL')}: {error}"
            ) from None
        return url.rstrip("/")

    def _model(self, name: str) -> str | None:
        entry, preset = self._entries.get(name), PRESETS.get(name)
        return (
            (entry.model if entry is not None else None)
            or self._settings.variable(_variable(name, "MODEL"))
            or (preset.model if preset is not None else None)
        )

    def _is_set_up(self, name: str) -> bool:
        settings, preset = self._settings, PRESETS.get(name, Preset())
        if preset.keys:
            return self._key(name, preset) is not None
        chosen = (settings.llm_provider, settings.llm_fallback_provider or "")
        return (
            name in self._entries
            or name in map(str.lower, chosen)
            or preset.server is not None
            or settings.variable(_variable(name, "BASE_URL")) is not None
            or any(settings.variable(variable) for variable in preset.urls)
        )


def find_base_url(name: str, settings: Settings) -> str:
    """Find where a provider is reached: by its variables, else by its preset.

    Args:
        name: The provider's name, in lower case.
        settings: Give the variables.

    Returns:
        The base URL; empty if nobody says.
    """
    preset = PRESETS.get(name, Preset())
    hosts = filter(None, map(settings.variable, preset.urls))
    return (
        settings.variable(_variable(name, "BASE_URL"))
        or next((_url_of_host(host, preset) for host in hosts), None)
        or preset.base_url
    )


def _variable(name: str, suffix: str) -> str:
    return f"{name.upper().replace('-', '_')}_{suffix}"


def _url_of_host(host: str, preset: Preset) -> str:
    """Make a base URL of what a tool's own variable holds, like ``0.0.0.0:8080``."""
    if "://" not in host:
        port = "" if _PORT.search(host) else f":{urlsplit(preset.base_url).port}"
        host = f"http://{host}{port}"
    host = host.rstrip("/")
    return host if host.endswith("/v1") else f"{host}/v1"
