"""What every row of the registry has to keep, and the factory that reads it."""

import ast
from pathlib import Path

import httpx
import psutil
import pytest
from pydantic import SecretStr

import llm_proxy
from llm_proxy.config import ProviderConfig
from llm_proxy.errors import (
    APIError,
    LLMConnectionError,
    LLMUnavailableError,
    ProviderNotConfiguredError,
    UnknownProviderError,
)
from llm_proxy.main import create_app
from llm_proxy.providers import PROVIDERS, LLMProvider
from llm_proxy.providers.http_provider import HTTPProvider
from llm_proxy.providers.presets import PRESETS
from llm_proxy.types import ChatRequest, ChatResponse, Usage, said
from llm_proxy.wire import gather

KEY = "key-MARKER"
ELSEWHERE = "http://127.0.0.1:9/openai/v1"
PACKAGE = Path(llm_proxy.__file__).parent
QUESTION = ChatRequest(messages=(said("user", "Hello"),))
EVERY_ANSWER = {
    "choices": [{"message": {"content": "Hi"}}],
    "content": [{"type": "text", "text": "Hi"}],
    "candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}],
    "output": {"message": {"content": [{"text": "Hi"}]}},
    "stopReason": "end_turn",
}
KEY_HEADERS = ("authorization", "api-key", "x-api-key", "x-goog-api-key")

EVERY_PROVIDER = pytest.mark.parametrize("name", sorted(PROVIDERS))
EVERY_KEY = pytest.mark.parametrize(
    ("name", "variable"),
    [
        (name, key)
        for name, preset in PRESETS.items()
        for key in preset.keys or preset.optional_keys
    ],
)


def located(name: str) -> dict[str, str]:
    """The variable that says where a provider is, if nothing else does."""
    return {} if PRESETS[name].base_url else {f"{name}_base_url": ELSEWHERE}


def set_up(name: str) -> dict[str, str]:
    """The variables without which a provider cannot be asked."""
    preset = PRESETS[name]
    keys = preset.keys or preset.optional_keys
    return {key.lower(): KEY for key in keys[:1]} | located(name)


class Recorder:
    """An upstream that answers in all dialects at once."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(200, json=EVERY_ANSWER)


@pytest.fixture
def upstream() -> Recorder:
    return Recorder()


class TestEveryProvider:
    def test_the_rows_and_the_registry_have_the_same_names(self):
        assert set(PROVIDERS) == set(PRESETS)

    @EVERY_PROVIDER
    async def test_is_asked_at_its_address_with_its_key(
        self, make_factory, upstream, name
    ):
        preset, variables = PRESETS[name], set_up(name)
        factory = make_factory(upstream, **variables)
        answer = await factory.get_provider(name.upper(), "m").complete(QUESTION)

        [request] = upstream.requests
        assert answer.text == "Hi"
        path = preset.dialect.path("m", stream=False)
        assert str(request.url) == (preset.base_url or ELSEWHERE) + path
        sent = " ".join(request.headers.get(header, "") for header in KEY_HEADERS)
        assert (KEY in sent.split()) == (KEY in variables.values())

    @EVERY_PROVIDER
    async def test_can_be_sent_elsewhere(self, make_factory, upstream, name):
        variables = set_up(name) | {f"{name}_base_url": f"{ELSEWHERE}/"}
        provider = make_factory(upstream, **variables).get_provider(name, "m")
        await provider.complete(QUESTION)

        assert str(upstream.requests[0].url).startswith(f"{ELSEWHERE}/")
        assert "v1//" not in str(upstream.requests[0].url)

    @EVERY_KEY
    def test_takes_its_key_from_its_variable(self, connect, name, variable):
        none = {"openai_api_key": None, "anthropic_api_key": None}
        variables = none | located(name) | {variable.lower(): KEY}

        assert connect(name, **variables).api_key == KEY

    @pytest.mark.parametrize("name", sorted(n for n, p in PRESETS.items() if p.keys))
    def test_without_its_key_says_which_variable_is_missing(self, make_factory, name):
        none = {"openai_api_key": None, "anthropic_api_key": None}
        factory = make_factory(**none | located(name))

        with pytest.raises(ValueError, match="not configured") as caught:
            factory.get_provider(name, "m")
        assert isinstance(caught.value, ProviderNotConfiguredError)
        assert PRESETS[name].keys[0] in caught.value.log_detail
        assert caught.value.status == 500

    @EVERY_PROVIDER
    @pytest.mark.parametrize("status", [401, 500])
    async def test_keeps_its_key_to_itself(self, make_factory, connect, name, status):
        def echo(request: httpx.Request) -> httpx.Response:
            message = f"Incorrect API key provided: {KEY}"
            return httpx.Response(status, json={"error": {"message": message}})

        factory = make_factory(echo, **set_up(name))
        provider = factory.get_provider(name, "m")
        with pytest.raises(APIError) as caught:
            await provider.complete(QUESTION)

        error = caught.value
        connection = connect(name, **set_up(name))
        shown = [factory, connection, provider, factory.status(), error, error.vendor]
        assert KEY not in f"{shown} {error} {error.log_detail} {error.details}"


class TestNewProvider:
    """A class and a row in the dict are all that a new provider takes."""

    @pytest.fixture(autouse=True)
    def register(self, monkeypatch):
        class DummyProvider(HTTPProvider):
            @staticmethod
            def key_headers(api_key):
                return {"x-dummy-key": api_key}

        monkeypatch.setitem(PROVIDERS, "dummy", DummyProvider)

    async def test_it_is_served(self, client, settings, restored_logging, upstream):
        chosen = settings(dummy_api_key=KEY, dummy_base_url=ELSEWHERE)
        caller = client(create_app(chosen, httpx.MockTransport(upstream)))
        answer = await caller.chat(provider="Dummy", model="m")

        assert (answer.status_code, answer.json()["response"]) == (200, "Hi")
        assert answer.json()["provider"] == "dummy"
        assert upstream.requests[0].headers["x-dummy-key"] == KEY
        assert str(upstream.requests[0].url) == f"{ELSEWHERE}/chat/completions"

    def test_it_is_known(self, make_factory):
        assert "dummy" in make_factory().names


def test_no_code_asks_which_provider_it_is():
    # Which provider may run in production is a rule about settings, and Bedrock's
    # dialect differs with the vendor of the model behind it.
    files = set(PACKAGE.rglob("*.py")) - {PACKAGE / "setting_rules.py"}
    files -= {*(PACKAGE / "wire" / "bedrock").iterdir()}
    compared = {
        f"{file.name}:{node.lineno}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare)
        and any(
            isinstance(each, ast.Constant) and each.value in PROVIDERS
            for each in ast.walk(node)
        )
    }

    assert compared == set()


class TestInterface:
    class Echo(LLMProvider):
        async def complete(self, request: ChatRequest) -> ChatResponse:
            usage = Usage(1, 2, source="provider")
            return ChatResponse(request.messages[-1].content, "echo-1", "stop", usage)

    def test_there_is_one_thing_to_implement(self):
        assert LLMProvider.__abstractmethods__ == {"complete"}
        with pytest.raises(TypeError):
            LLMProvider("m")

    async def test_the_rest_comes_with_it(self):
        echo = self.Echo("m")

        assert echo.model == "m"
        assert await echo.generate_response("Hello") == "Hello"
        [chunks] = [batch async for batch in echo.stream(QUESTION)]
        assert gather(chunks) == await echo.complete(QUESTION)


class TestNames:
    @pytest.mark.parametrize("name", ["opnai", "nobody", "", "openai/gpt-4"])
    def test_an_unknown_name_gets_the_known_ones(self, make_factory, name):
        factory = make_factory()

        with pytest.raises(ValueError, match=r"anthropic.* openai.* zai") as caught:
            factory.get_provider(name, "m")
        assert isinstance(caught.value, UnknownProviderError)
        assert caught.value.status == 400

    def test_a_near_miss_gets_a_hint(self, make_factory):
        with pytest.raises(UnknownProviderError, match="Did you mean 'openai'"):
            make_factory().get_provider("OpnAI", "m")

    def test_a_strange_name_is_not_repeated(self, make_factory):
        with pytest.raises(UnknownProviderError) as caught:
            make_factory().get_provider("<script>", "m")
        assert "script" not in f"{caught.value} {caught.value.log_detail}"

    @pytest.mark.parametrize("environment", ["staging", "production"])
    def test_the_sandbox_is_for_development(self, make_factory, environment):
        factory = make_factory(
            environment=environment, api_token="Zq3vT8xW1nB6yK0pL5sD9fG2hJ7mC4rE"
        )

        assert "sandbox" not in factory.names
        with pytest.raises(UnknownProviderError):
            factory.get_provider("sandbox", "m")

    def test_the_same_names_give_the_same_provider(self, make_factory):
        factory = make_factory()

        gpt4 = factory.get_provider("openai", "gpt-4")
        assert factory.get_provider("openai", "gpt-4") is gpt4
        assert factory.get_provider("openai", "gpt-4o") is not gpt4

    def test_what_is_kept_per_name_is_bounded(self, make_factory):
        factory = make_factory()
        first = factory.get_provider("openai", "0")
        for number in range(1, 1024):
            factory.get_provider("openai", str(number))

        assert factory.get_provider("openai", "0") is first
        factory.get_provider("openai", "one more")
        assert factory.get_provider("openai", "0") is not first


class TestConfiguredProvider:
    def entry(self, **fields):
        return {"Mine": ProviderConfig(base_url="http://mine.test/v1", **fields)}

    @pytest.mark.parametrize(
        ("api", "path"), [("openai", "/chat/completions"), ("anthropic", "/messages")]
    )
    async def test_it_speaks_the_api_it_is_said_to(
        self, make_factory, upstream, api, path
    ):
        factory = make_factory(upstream, self.entry(api=api))
        await factory.get_provider("MINE", "m").complete(QUESTION)

        assert "mine" in factory.names
        assert str(upstream.requests[0].url) == f"http://mine.test/v1{path}"
        assert KEY not in str(upstream.requests[0].headers.raw)

    async def test_its_headers_go_along_and_win(self, make_factory, upstream):
        entries = self.entry(headers={"X-Team": "a", "User-Agent": "us"})
        provider = make_factory(upstream, entries).get_provider("mine", "m")
        await provider.complete(QUESTION)

        headers = upstream.requests[0].headers
        assert (headers["x-team"], headers["user-agent"]) == ("a", "us")

    def test_its_key_and_model_win_over_the_variables(self, make_factory, connect):
        entries = self.entry(api_key=SecretStr("from the file"), model="file-model")
        lower = {name.lower(): entry for name, entry in entries.items()}
        variables = {"mine_api_key": "variable", "mine_model": "variable-model"}

        assert connect("mine", lower, **variables).api_key == "from the file"
        factory = make_factory(entries=entries, **variables)
        assert factory.default_model("mine") == "file-model"

    def test_without_them_the_variables_hold(self, make_factory, connect):
        entries = {"my-own": ProviderConfig()}
        url = "http://variable.test"
        variables = {
            "my_own_api_key": KEY,
            "my_own_base_url": url,
            "my_own_model": "variable-model",
        }

        connection = connect("my-own", entries, **variables)
        assert (connection.api_key, connection.base_url) == (KEY, url)
        factory = make_factory(entries=entries, **variables)
        assert factory.default_model("My-Own") == "variable-model"

    def test_a_known_provider_keeps_what_the_file_leaves_open(
        self, make_factory, connect
    ):
        entries = {"groq": ProviderConfig(base_url="http://mine.test")}

        connection = connect("groq", entries, groq_api_key=KEY)
        assert (connection.api_key, connection.base_url) == (KEY, "http://mine.test")
        factory = make_factory(entries=entries, groq_api_key=KEY)
        assert factory.default_model("groq") == PRESETS["groq"].model


class TestAddress:
    @pytest.mark.parametrize(
        ("host", "url"),
        [
            ("127.0.0.1:5000", "http://127.0.0.1:5000/v1"),
            ("0.0.0.0", "http://0.0.0.0:11434/v1"),
            ("https://ollama.test", "https://ollama.test/v1"),
            ("http://ollama.test:5000/v1/", "http://ollama.test:5000/v1"),
        ],
    )
    def test_a_tools_own_variable_names_a_host(self, connect, host, url):
        assert connect("ollama", ollama_host=host).base_url == url

    def test_a_base_url_wins_over_it(self, connect):
        variables = {"ollama_host": "a:1", "ollama_base_url": "http://b:2/v1"}
        assert connect("ollama", **variables).base_url == "http://b:2/v1"

    @pytest.mark.parametrize(
        ("variables", "why"),
        [
            ({}, "MINE_BASE_URL is not set"),
            ({"mine_base_url": "SECRET"}, "MINE_BASE_URL: must start with https://"),
            (
                {"mine_base_url": "http://SECRET@mine.test"},
                "MINE_BASE_URL: must not carry a user name or password",
            ),
        ],
    )
    def test_one_that_leads_nowhere_is_the_operators_mistake(
        self, make_factory, variables, why
    ):
        factory = make_factory(entries={"mine": ProviderConfig()}, **variables)

        with pytest.raises(ProviderNotConfiguredError) as caught:
            factory.get_provider("mine", "m")
        assert caught.value.log_detail.startswith(why)
        assert "SECRET" not in f"{caught.value} {caught.value.log_detail}"
        assert caught.value.__cause__ is None

    @pytest.mark.parametrize("key", ["sk-ü", "sk-1\n", "sk\x00"])
    def test_a_key_that_no_header_can_carry_is_one_too(self, make_factory, key):
        with pytest.raises(ProviderNotConfiguredError) as caught:
            make_factory(groq_api_key=key).get_provider("groq", "m")
        assert caught.value.log_detail == "the key of 'groq' is not printable ASCII"


class TestDefaultModel:
    def test_it_comes_from_the_variable_or_the_row(self, make_factory):
        factory = make_factory(groq_model="mine", openai_model="gpt-4o")

        assert factory.default_model("Groq") == "mine"
        assert factory.default_model("OpenAI") == "gpt-4o"
        assert factory.default_model("mistral") == PRESETS["mistral"].model

    def test_where_there_is_none_the_variable_is_named(self, make_factory):
        with pytest.raises(ProviderNotConfiguredError, match="No model") as caught:
            make_factory().default_model("together")
        assert caught.value.log_detail == "TOGETHER_MODEL is not set"

    def test_an_unknown_provider_has_none(self, make_factory):
        with pytest.raises(UnknownProviderError):
            make_factory().default_model("nobody")


class TestStatus:
    def names(self, factory):
        return {status.name for status in factory.status()}

    def test_what_has_its_key_is_set_up(self, make_factory):
        factory = make_factory(anthropic_api_key=None, google_api_key=KEY)

        assert {"openai", "gemini"} <= self.names(factory)
        assert self.names(factory).isdisjoint({"anthropic", "groq", "ollama", "vllm"})

    def test_a_file_that_names_a_provider_gives_it_no_key(self, make_factory):
        factory = make_factory(entries={"groq": ProviderConfig()})
        assert "groq" not in self.names(factory)

    @pytest.mark.parametrize(
        ("entries", "variables"),
        [
            ({}, {"llm_provider": "Ollama"}),
            ({}, {"llm_fallback_provider": "ollama"}),
            ({}, {"ollama_base_url": ELSEWHERE}),
            ({}, {"ollama_host": "127.0.0.1"}),
            ({"Ollama": ProviderConfig()}, {}),
        ],
    )
    def test_what_needs_no_key_has_to_be_named(self, make_factory, entries, variables):
        assert "ollama" in self.names(make_factory(entries=entries, **variables))

    def test_it_says_where_and_which_model(self, make_factory):
        factory = make_factory(openai_model="gpt-4o")
        found = {each.name: (each.address, each.model) for each in factory.status()}

        assert found["openai"] == ("https://api.openai.com/v1", "gpt-4o")
        assert found["sandbox"] == ("this machine", "sandbox")


def open_ports() -> set[int]:
    sockets = psutil.Process().net_connections("tcp")
    return {each.laddr.port for each in sockets if each.status == psutil.CONN_LISTEN}


@pytest.mark.integration
async def test_an_upstream_of_our_own_runs_from_first_use_to_close(make_factory):
    before = open_ports()
    factory = make_factory()
    provider = factory.get_provider("sandbox", "sandbox")
    assert open_ports() == before

    assert (await provider.complete(QUESTION)).text == 'The sandbox read: "Hello"'
    assert len(open_ports() - before) == 1
    await factory.aclose()
    assert open_ports() == before


async def test_an_upstream_of_our_own_that_cannot_start_fails_the_call(
    make_factory, monkeypatch
):
    provider = make_factory().get_provider("sandbox", "sandbox")

    async def fail(*_: object) -> None:
        raise LLMConnectionError(provider="sandbox")

    monkeypatch.setattr("llm_proxy.providers.loopback.SandboxServer.start", fail)
    with pytest.raises(LLMConnectionError):
        await provider.complete(QUESTION)


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("http://127.0.0.1:9", "http://127.0.0.1:9/v1/messages"),
        ("http://127.0.0.1:9/v1/", "http://127.0.0.1:9/v1/messages"),
        ("http://127.0.0.1:9/api", "http://127.0.0.1:9/api/messages"),
    ],
)
async def test_anthropics_base_url_may_lack_the_version(make_factory, base_url, url):
    asked = []

    def handle(request):
        asked.append(str(request.url))
        return httpx.Response(503)

    factory = make_factory(handle, anthropic_api_key="k", anthropic_base_url=base_url)
    with pytest.raises(LLMUnavailableError):
        await factory.get_provider("anthropic", "m").generate_response("Hi")
    assert asked == [url]
