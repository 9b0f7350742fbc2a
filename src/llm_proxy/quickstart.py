"""`llm-proxy dev`: a service that runs before anything has been configured."""

import secrets
import shlex
from dataclasses import dataclass
from pathlib import Path

import httpx

from llm_proxy import __version__
from llm_proxy.providers.connections import find_base_url
from llm_proxy.providers.presets import PRESETS
from llm_proxy.settings import ConfigurationError, Settings, load_settings
from llm_proxy.variables import HOSTED

_TOKEN_FILE = Path(".llm-proxy/api-token")
_PROBE_SECONDS = 0.5
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - not bound here, only read
_EXAMPLE = (
    '{"type": "summary", "source": "email", "prompt": "Hi all, the new office opens '
    "in May. We move in two groups: sales on the 4th, engineering on the 11th. Please "
    'pack your desk before the weekend and label every box with your name. Anna"}'
)
_NOTES = {
    "local": "SmolLM2-135M on this CPU: a demo model, it shows the road and often errs",
    "sandbox": "deterministic answers for people who write clients, no model",
}


@dataclass(frozen=True, slots=True)
class Quickstart:
    """What was found on this machine, and the settings made of it.

    Attributes:
        settings: Complete settings.
        reason: Why this provider.
    """

    settings: Settings
    reason: str

    def welcome(self) -> str:
        """Write what a newcomer needs: address, token, and a line to paste.

        Returns:
            Several lines of text.
        """
        settings = self.settings
        token = next(iter(settings.tokens.values()))
        host = "127.0.0.1" if settings.host in _WILDCARDS else settings.host
        url = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
        header = shlex.quote(f"X-API-Token: {token}")
        note = _NOTES.get(settings.llm_provider, "")
        return "\n".join(
            (
                "",
                f"llm-proxy {__version__} is running: {url}  (documented: {url}/docs)",
                f"Provider:  {settings.llm_provider} ({self.reason})",
                *([f"           {note}"] if note else []),
                f"API token: {token}",
                "",
                "Try it:",
                "",
                f"curl -s {url}/webhook -H {header} \\",
                f"  -H 'Content-Type: application/json' -d '{_EXAMPLE}'",
                "",
            )
        )


def prepare() -> Quickstart:
    """Complete the settings: make a token, find a provider.

    A provider whose key is set is used, else an Ollama on its usual port, else the
    local demo model. ``LLM_PROVIDER`` and ``API_TOKEN`` win where they are set.

    Returns:
        The settings and how they came about.

    Raises:
        ConfigurationError: Something that is set is wrong.
    """
    overrides: dict[str, object] = {}
    try:
        settings = load_settings()
    except ConfigurationError as error:
        if "API_TOKEN: required" not in str(error).splitlines():
            raise
        overrides["api_token"] = _own_token()
        settings = load_settings(**overrides)
    if settings.environment in HOSTED:
        raise ConfigurationError(
            "ENVIRONMENT: dev is for one's own machine; use `llm-proxy serve`"
        )
    if "llm_provider" in settings.model_fields_set:
        return Quickstart(settings, "LLM_PROVIDER")
    found, reason = _find_provider(settings)
    return Quickstart(load_settings(**overrides, **found), reason)


def _own_token() -> str:
    """Read the token of this folder, or make one that only the owner can read."""
    try:
        token = _TOKEN_FILE.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        token = ""
    if not token:
        token = secrets.token_urlsafe(32)
        _TOKEN_FILE.parent.mkdir(mode=0o700, exist_ok=True)
        _TOKEN_FILE.touch(mode=0o600)
        _TOKEN_FILE.write_text(token, encoding="ascii")
    return token


def _find_provider(settings: Settings) -> tuple[dict[str, object], str]:
    for name, preset in PRESETS.items():
        key = next((key for key in preset.keys if settings.variable(key)), None)
        # Keys such as GITHUB_TOKEN are often there for other reasons, and without a
        # model the provider could not answer.
        if key and (preset.model or settings.variable(f"{name}_MODEL")):
            return {"llm_provider": name}, f"{key} is set"
    model = settings.variable("OLLAMA_MODEL") or _first_ollama_model(settings)
    if model is not None:
        return (
            {"llm_provider": "ollama", "ollama_model": model},
            f"Ollama serves {model}",
        )
    return {"llm_provider": "local"}, "no provider key is set"


def _first_ollama_model(settings: Settings) -> str | None:
    url = find_base_url("ollama", settings).rstrip("/")
    try:
        answer = httpx.get(f"{url}/models", timeout=_PROBE_SECONDS, trust_env=False)
        return str(answer.json()["data"][0]["id"])
    except (
        httpx.HTTPError,
        httpx.InvalidURL,
        ValueError,
        LookupError,
        TypeError,
    ):
        return None
