"""The service over real sockets, as the vendors' SDKs meet it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from anthropic import Anthropic
from openai import OpenAI
from tests.clients.chat_program import ChatProgram
from tests.clients.messages_program import MessagesProgram
from tests.clients.program import Program
from tests.clients.responses_program import ResponsesProgram
from tests.clients.wiretap import Sandbox, Wiretap
from tests.conftest import Child

CALLER_KEY = "key-of-alice"
OTHER_KEY = "key-of-bob"
UPSTREAM_KEY = "key-of-the-operator"

CONFIG = """
providers:
  openai: {{base_url: "{sandbox}/v1", api_key: "${{UPSTREAM_KEY}}"}}
  compatible: {{api: openai, base_url: "{sandbox}/v1", api_key: "${{UPSTREAM_KEY}}"}}
  anthropic: {{base_url: "{sandbox}/v1", api_key: "${{UPSTREAM_KEY}}"}}
  azure: {{base_url: "{sandbox}", api_key: "${{UPSTREAM_KEY}}"}}
  gemini: {{base_url: "{sandbox}/v1beta", api_key: "${{UPSTREAM_KEY}}"}}
  bedrock: {{base_url: "{sandbox}", api_key: "${{UPSTREAM_KEY}}"}}
models:
  smart:
    deployments: [{{model: openai/sandbox}}]
"""


def serve(log: Path, sandbox: Sandbox, **variables: str) -> Child:
    """Starts a service with all kinds of providers in front of the sandbox."""
    config = CONFIG.format(sandbox=sandbox.url)
    log.with_name("llm-proxy.yaml").write_text(config, encoding="utf-8")
    return Child(
        log,
        "llm_proxy",
        API_TOKEN=f"alice:{CALLER_KEY},bob:{OTHER_KEY}",
        UPSTREAM_KEY=UPSTREAM_KEY,
        ENVIRONMENT="testing",
        PORT="0",
        RATE_LIMIT_ENABLED="false",
        RETRY_ATTEMPTS="1",
        BREAKER_FAILURES="0",
        **variables,
    )


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory) -> Iterator[Sandbox]:
    log = tmp_path_factory.mktemp("sandbox") / "log"
    with (
        Child(log, "llm_proxy.providers.sandbox", "--port", "0") as child,
        httpx2.Client(base_url=child.url) as client,
    ):
        yield Sandbox(client)


@pytest.fixture(scope="session")
def service(tmp_path_factory, sandbox) -> Iterator[str]:
    """The address of the service, without ``/v1``."""
    with serve(tmp_path_factory.mktemp("service") / "log", sandbox) as child:
        yield child.url


@pytest.fixture(scope="session")
def impatient(tmp_path_factory, sandbox) -> Iterator[str]:
    """The address of a service that waits for an upstream for 0.3 seconds."""
    log = tmp_path_factory.mktemp("impatient") / "log"
    with serve(log, sandbox, REQUEST_TIMEOUT="0.3") as child:
        yield child.url


@pytest.fixture(scope="session")
def wiretap() -> Wiretap:
    return Wiretap()


@pytest.fixture(scope="session")
def http(wiretap) -> Iterator[httpx2.Client]:
    """One client for all SDKs, so that all they send and get can be looked at."""
    with httpx2.Client(event_hooks=wiretap.hooks, timeout=20) as client:
        yield client


@pytest.fixture(scope="session")
def openai_at(http) -> Callable[..., OpenAI]:
    """Makes OpenAI's SDK for an address, as one that does not try again."""
    return lambda url, key=CALLER_KEY, **more: OpenAI(
        api_key=key, base_url=url, http_client=http, max_retries=0, **more
    )


@pytest.fixture(scope="session")
def anthropic_at(http) -> Callable[..., Anthropic]:
    """Makes Anthropic's SDK for an address, as one that does not try again."""
    return lambda url, key=CALLER_KEY, **more: Anthropic(
        api_key=key, base_url=url, http_client=http, max_retries=0, **more
    )


@pytest.fixture(scope="session")
def openai(openai_at, service) -> OpenAI:
    return openai_at(f"{service}/v1")


@pytest.fixture(scope="session")
def anthropic(anthropic_at, service) -> Anthropic:
    return anthropic_at(service)


@pytest.fixture(scope="session")
def raw(http, service) -> Callable[..., httpx2.Response]:
    """Posts to the service without an SDK; a body that is no bytes becomes JSON."""

    def raw(path: str, body: object, **headers: str) -> httpx2.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        defaults = {"x-api-key": CALLER_KEY, "content-type": "application/json"}
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return http.post(
            f"{service}{path}", content=content, headers=defaults | headers
        )

    return raw


@pytest.fixture(scope="session")
def program_at(
    openai_at, anthropic_at, wiretap, sandbox
) -> Callable[[str, str, str], Program]:
    """Makes a program in a dialect that talks to a provider of a service."""

    def program_at(url: str, dialect: str, provider: str) -> Program:
        if dialect == MessagesProgram.dialect:
            return MessagesProgram(anthropic_at(url), provider, wiretap, sandbox)
        kinds = {kind.dialect: kind for kind in (ChatProgram, ResponsesProgram)}
        return kinds[dialect](openai_at(f"{url}/v1"), provider, wiretap, sandbox)

    return program_at


@pytest.fixture(scope="session")
def program(program_at, service) -> Callable[[str, str], Program]:
    """Makes a program in a dialect that talks to a provider."""
    return lambda dialect, provider: program_at(service, dialect, provider)
