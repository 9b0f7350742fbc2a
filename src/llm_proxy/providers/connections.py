"""How each provider is reached, by presets, settings and configuration."""

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

import httpx

from llm_proxy.config import ProviderConfig
from llm_proxy.errors import ProviderNotConfiguredError
from llm_proxy.providers.bedrock_provider import find_region
from llm_proxy.providers.connection import Connection
from llm_proxy.providers.loopback import LoopbackServer
from llm_proxy.providers.presets import APIS, PRESETS, Preset
from llm_proxy.providers.sigv4 import Signer
from llm_proxy.setting_rules import check_base_url
from llm_proxy.settings import Settings
from llm_proxy.transport import UpstreamClient
from llm_proxy.types import Timeouts
from llm_proxy.wire import (
    AnthropicMessages,
    AzureChat,
    BedrockConverse,
    Dialect,
    RelayDialect,
)

_PORT = re.compile(r":\d+$")
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")


class Connections:
    """Knows how to reach providers; the same name gives the same connection.

    Args:
        settings: Give keys, base URLs and time-outs.
        entries: The configuration's providers, by names in lower case.
        client: Carries the requests of all providers.
    """

    def __init__(
        self,
        settings: Settings,
        entries: Mapping[str, ProviderConfig],
        client: UpstreamClient,
    ) -> None:
        self._settings = settings
        self._entries = entries
        self._client = client
        self._made: dict[str, Connection] = {}
        self._servers: list[LoopbackServer] = []

    def get(self, name: str) -> Connection:
        """Say how a provider is reached.

        Args:
            name: The provider's name, in lower case.

        Returns:
            The connection.

        Raises:
            ProviderNotConfiguredError: Nobody says where it is.
        """
        if name not in self._made:
            self._made[name] = self._connect(name)
        return self._made[name]

    def preset(self, name: str) -> Preset:
        """Say what is known of a provider before the operator says anything.

        Args:
            name: The provider's name, in lower case.

        Returns:
            Its preset, or what its API has in common.
        """
        entry = self._entries.get(name)
        return PRESETS.get(name) or APIS[entry.api if entry else "openai"]

    def key(self, name: str) -> str | None:
        """Find a provider's key.

        Args:
            name: The provider's name, in lower case.

        Returns:
            The key; None if there is none.
        """
        entry, preset = self._entries.get(name), self.preset(name)
        if entry is not None and entry.api_key is not None:
            return entry.api_key.get_secret_value()
        names = preset.keys or preset.optional_keys or (variable_of(name, "API_KEY"),)
        return next(filter(None, map(self._settings.variable, names)), None)

    async def aclose(self) -> None:
        """Stop the upstreams of our own and close all connections."""
        for server in self._servers:
            await server.close()
        await self._client.aclose()

    def _connect(self, name: str) -> Connection:
        settings, entry = self._settings, self._entries.get(name)
        preset = self.preset(name)
        base_url = self._base_url(name, preset)
        key = self.key(name)
        server = signer = None
        if preset.server is not None and not base_url:
            server = preset.server(settings.local_model_path)
            self._servers.append(server)
            key = server.api_key
        elif not base_url:
            wanted = variable_of(name, "BASE_URL")
            if isinstance(preset.dialect, BedrockConverse):
                wanted = f"{_REGIONS[0]} (or {wanted})"
            raise ProviderNotConfiguredError(log_detail=f"{wanted} is not set")
        if isinstance(preset.dialect, BedrockConverse) and not key:
            region = find_region(httpx.URL(base_url).host) or self._region()
            signer = Signer(name, region)
        dialect, relays, base_url = self._dialects(name, preset, base_url)
        return Connection(
            name=name,
            dialect=dialect,
            client=self._client,
            v1_dialect=self._v1_dialect(dialect),
            relays=relays,
            base_url=base_url,
            api_key=key,
            key_name=preset.keys[0] if preset.keys else "",
            headers=dict(entry.headers) if entry else {},
            server=server,
            signer=signer,
            timeouts=Timeouts(
                connect=settings.connect_timeout,
                first_token=settings.request_timeout,
                idle=min(settings.stream_idle_timeout, settings.request_timeout),
            ),
            max_body_bytes=settings.max_response_bytes,
            max_relay_bytes=settings.max_v1_body_bytes,
        )

    def _dialects(
        self, name: str, preset: Preset, base_url: str
    ) -> tuple[Dialect, dict[str, RelayDialect], str]:
        """Adjust a preset's dialects to what the operator says."""
        dialect, also = preset.dialect, preset.also
        if isinstance(dialect, AnthropicMessages):
            tokens = self._settings.anthropic_max_tokens
            dialect = replace(dialect, default_max_tokens=tokens)
            # Anthropic's SDKs take the base URL without the version of the API.
            if not urlsplit(base_url).path:
                base_url += "/v1"
        elif preset.dated and (version := self._api_version(name, preset)):
            dialect, also = AzureChat(api_version=version), ()
        main = (dialect,) if isinstance(dialect, RelayDialect) else ()
        return dialect, {each.name: each for each in (*main, *also)}, base_url

    def _v1_dialect(self, dialect: Dialect) -> Dialect | None:
        """Leave answers to callers of `/v1` as long as those of OpenAI would be."""
        is_set = "anthropic_max_tokens" in self._settings.model_fields_set
        if not isinstance(dialect, AnthropicMessages) or is_set:
            return None
        return replace(dialect, default_max_tokens=None)

    def _api_version(self, name: str, preset: Preset) -> str | None:
        entry = self._entries.get(name)
        if entry is not None and entry.api_version is not None:
            return entry.api_version
        return next(filter(None, map(self._settings.variable, preset.versions)), None)

    def _region(self) -> str:
        return next(filter(None, map(self._settings.variable, _REGIONS)), "")

    def _base_url(self, name: str, preset: Preset) -> str:
        entry = self._entries.get(name)
        url = entry.base_url if entry is not None else None
        url = url or find_base_url(name, self._settings)
        if not url and isinstance(preset.dialect, BedrockConverse):
            region = self._region()
            if region:
                url = f"https://bedrock-runtime.{region}.amazonaws.com"
        try:
            if url:
                check_base_url(url, self._settings.environment)
        except ValueError as error:
            raise ProviderNotConfiguredError(
                log_detail=f"{variable_of(name, 'BASE_URL')}: {error}"
            ) from None
        return url.rstrip("/")


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
        settings.variable(variable_of(name, "BASE_URL"))
        or next((_url_of_host(host, preset) for host in hosts), None)
        or preset.base_url
    )


def variable_of(name: str, suffix: str) -> str:
    """Name the variable that holds something of a provider.

    Args:
        name: The provider's name.
        suffix: What it is, like ``API_KEY``.

    Returns:
        Its name in the environment.
    """
    return f"{name.upper().replace('-', '_')}_{suffix}"


def _url_of_host(host: str, preset: Preset) -> str:
    """Make a base URL of what a tool's own variable holds, like ``0.0.0.0:8080``."""
    if "://" not in host:
        port = "" if _PORT.search(host) else f":{urlsplit(preset.base_url).port}"
        host = f"http://{host}{port}"
    host = host.rstrip("/")
    return host if host.endswith("/v1") else f"{host}/v1"
