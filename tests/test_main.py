"""What `create_app` wires together, and how it starts and stops."""

import httpx
import pytest

import llm_proxy.main
from llm_proxy.main import create_app
from llm_proxy.settings import ConfigurationError


class CountingTransport(httpx.AsyncBaseTransport):
    """An upstream that counts what it is asked and whether it was closed."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.requests = 0
        self.retry_after = "30"
        self.closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        status = self.statuses.pop(0) if self.statuses else 200
        answer = {"choices": [{"message": {"content": "Hi"}}]}
        return httpx.Response(
            status, json=answer, headers={"retry-after": self.retry_after}
        )

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture
def serve(settings, client, restored_logging):
    """Makes a caller of an application over a transport of the test's own."""
    return lambda transport, **overrides: client(
        create_app(settings(**overrides), transport)
    )


class TestIndependence:
    def test_every_call_makes_another_application(self, settings, restored_logging):
        chosen = settings()
        first, second = create_app(chosen), create_app(chosen)

        assert first is not second
        assert first.state.settings is second.state.settings is chosen
        for part in ("gateway", "catalog", "providers", "metrics", "limiter"):
            assert getattr(first.state, part) is not getattr(second.state, part)

    async def test_what_happens_in_one_stays_in_it(self, build, client):
        used, fresh = (client(build(rate_limit=2)) for _ in range(2))
        for _ in range(2):
            assert (await used.chat()).status_code == 200

        assert (await used.chat()).status_code == 429
        assert "llm_queries_total{" not in (await fresh.get("/metrics")).text
        assert (await fresh.chat()).status_code == 200


class TestEnvironment:
    @pytest.fixture(autouse=True)
    def environment(self, settings, monkeypatch, restored_logging):
        monkeypatch.setenv("ENVIRONMENT", "testing")
        monkeypatch.setenv("API_TOKEN", "test_token")
        monkeypatch.setenv("LLM_PROVIDER", "sandbox")

    def test_it_describes_the_application(self):
        assert create_app().state.settings.llm_provider == "sandbox"

    def test_app_is_built_when_a_server_asks_for_it(self):
        app = llm_proxy.main.app

        assert app.state.settings.llm_provider == "sandbox"
        assert llm_proxy.main.app is not app

    def test_there_is_nothing_else_to_ask_for(self):
        with pytest.raises(AttributeError, match="application"):
            _ = llm_proxy.main.application

    def test_a_wrong_one_is_a_message_in_place_of_app(self, monkeypatch):
        monkeypatch.setenv("PORT", "SECRET")
        with pytest.raises(
            SystemExit, match="llm-proxy cannot start:\nPORT: "
        ) as caught:
            _ = llm_proxy.main.app
        assert "SECRET" not in str(caught.value)


class TestStart:
    def test_a_default_provider_that_cannot_answer_prevents_it(
        self, settings, restored_logging
    ):
        with pytest.raises(ConfigurationError, match="OPENAI_API_KEY is not set"):
            create_app(settings(openai_api_key=None))

    def test_so_does_a_wrong_file(self, settings, restored_logging, tmp_path):
        chosen = settings()
        (tmp_path / "llm-proxy.yaml").write_text("model: {}")
        with pytest.raises(ConfigurationError, match="did you mean 'models'"):
            create_app(chosen)

    def test_so_do_templates_that_cannot_be_used(
        self, settings, restored_logging, tmp_path
    ):
        chosen = settings(prompt_templates_dir=tmp_path)
        (tmp_path / "summary.toml").write_text("nonsense")
        with pytest.raises(ConfigurationError, match=r"summary\.toml"):
            create_app(chosen)

    async def test_it_is_logged_with_names_and_no_secrets(self, build, logs):
        app = build(api_token="alice:SECRET")
        async with app.router.lifespan_context(app):
            [line] = logs("started")

        assert (line["tokens"], line["provider"]) == (["alice"], "openai")
        assert "SECRET" not in str(line)
        assert len(logs("stopped")) == 1

    async def test_the_end_closes_the_connections(self, settings, restored_logging):
        transport = CountingTransport()
        app = create_app(settings(), transport)
        async with app.router.lifespan_context(app):
            assert (app.state.drain.is_draining, transport.closed) == (False, False)
        assert (app.state.drain.is_draining, transport.closed) == (True, True)


class TestSettingsArrive:
    @pytest.mark.parametrize(("longest", "requests"), [(60, 3), (0.01, 1)])
    async def test_at_the_attempts(self, serve, longest, requests):
        transport = CountingTransport(503, 503)
        transport.retry_after = "0.02"
        caller = serve(transport, retry_attempts=3, retry_after_max_seconds=longest)

        answer = await caller.chat()
        assert transport.requests == requests
        assert (answer.status_code == 200) == (requests == 3)

    async def test_at_the_deadline(self, serve):
        transport = CountingTransport(503)
        caller = serve(transport, retry_attempts=3, request_deadline=20)

        assert (await caller.chat()).status_code == 502
        assert transport.requests == 1

    async def test_at_the_breaker(self, serve):
        transport = CountingTransport(503)
        caller = serve(transport, breaker_failures=1)

        assert (await caller.chat()).status_code == 502
        assert (await caller.chat()).status_code == 503
        assert transport.requests == 1

    async def test_at_the_fallback(self, build, client, upstream):
        upstream.openai.respond(500)
        answer = await client(build(llm_fallback_provider="anthropic")).chat()

        assert answer.status_code == 200
        assert answer.json()["provider"] == "anthropic"

    @pytest.mark.parametrize(("written", "sent"), [("false", True), ("true", False)])
    async def test_at_the_guardrails_after_the_file(
        self, build, client, upstream, tmp_path, written, sent
    ):
        (tmp_path / "llm-proxy.yaml").write_text(f"guardrails: {{pii: {written}}}")
        await client(build(pii_redaction_enabled=not sent)).chat("I am a@b.example")
        assert ("a@b.example" in str(upstream.sent)) == sent

    async def test_an_alias_of_the_file_is_served(
        self, build, client, upstream, tmp_path
    ):
        (tmp_path / "llm-proxy.yaml").write_text(
            "models: {smart: {deployments: [{model: openai/gpt-4o}]}}"
        )
        caller = client(build(llm_provider="smart"))
        answer = await caller.chat(provider="llm-proxy", model="smart")

        assert answer.status_code == 200
        assert (await caller.webhook()).status_code == 200
        assert [body["model"] for body in upstream.sent] == ["gpt-4o"] * 2
