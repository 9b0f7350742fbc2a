import pytest

from llm_proxy.config import ALIAS_PROVIDER, ModelConfig, ProviderConfig
from llm_proxy.errors import (
    ProviderNotConfiguredError,
    UnknownProviderError,
    UnsupportedModelError,
)
from llm_proxy.routing import Deployment, Route, Target
from llm_proxy.settings import ConfigurationError
from llm_proxy.types import Timeouts

GPT4, CLAUDE = Target("openai", "gpt-4"), Target("anthropic", "claude-sonnet-4-5")
GPT4O, MINI = Target("openai", "gpt-4o"), Target("openai", "gpt-4o-mini")


def alias(*deployments: str | tuple[str, int], **fields: object) -> ModelConfig:
    rows = [each if isinstance(each, tuple) else (each, 1) for each in deployments]
    models = [{"model": model, "weight": weight} for model, weight in rows]
    return ModelConfig.model_validate({"deployments": models} | fields)


class TestProviders:
    @pytest.mark.parametrize("name", ["openai", "OpenAI", "OPENAI"])
    def test_a_name_in_any_case_is_a_route_of_one(self, catalog, name):
        expected = Route(
            ((Deployment(GPT4),),),
            2,
            120.0,
            Timeouts(5.0, 30.0, 30.0),
            names=("openai/gpt-4",),
        )
        assert catalog().route(name, "gpt-4") == expected

    def test_the_settings_say_how_hard_to_try(self, catalog):
        chosen = {
            "request_deadline": 70.0,
            "connect_timeout": 2.0,
            "request_timeout": 20.0,
            "stream_idle_timeout": 10.0,
        }
        route = catalog(overrides=chosen).route("openai", "gpt-4")
        assert (route.retries, route.deadline_seconds) == (2, 70.0)
        assert route.timeouts == Timeouts(connect=2.0, first_token=20.0, idle=10.0)

    def test_names_that_lead_nowhere_are_the_callers_mistake(self, catalog):
        with pytest.raises(UnknownProviderError):
            catalog().route("nobody", "m")
        with pytest.raises(UnsupportedModelError, match="Known: cheap"):
            catalog(cheap=alias("openai/gpt-4o")).route(ALIAS_PROVIDER, "dear")
        with pytest.raises(UnsupportedModelError, match="Known: none"):
            catalog().route("LLM-Proxy", "dear")

    def test_a_provider_without_its_key_is_the_operators(self, catalog):
        with pytest.raises(ProviderNotConfiguredError):
            catalog().route("groq", "m")


class TestFallbackOfTheSettings:
    def test_it_stands_at_the_end(self, catalog):
        chosen = {"llm_fallback_provider": "Anthropic"}
        assert catalog(overrides=chosen).route("openai", "gpt-4").targets == (
            GPT4,
            CLAUDE,
        )

    def test_nobody_falls_back_on_himself(self, catalog):
        chosen = {"llm_fallback_provider": "OpenAI"}
        assert catalog(overrides=chosen).route("openai", "gpt-4o").targets == (GPT4O,)


class TestDefault:
    def test_it_is_the_provider_of_the_settings_and_its_model(self, catalog):
        chosen = {"llm_provider": "OpenAI", "openai_model": "gpt-4o"}
        assert catalog(overrides=chosen).default_route().targets == (GPT4O,)

    def test_it_may_be_an_alias(self, catalog):
        chosen = {"llm_provider": "cheap"}
        made = catalog(overrides=chosen, cheap=alias("openai/gpt-4o-mini"))
        assert made.default_route().targets == (MINI,)


class TestAliases:
    def test_the_name_of_the_surface_leads_to_them(self, catalog):
        made = catalog(smart=alias("OpenAI/gpt-4o"))
        assert made.route("llm-proxy", "smart").targets == (GPT4O,)

    def test_models_may_have_slashes(self, catalog):
        made = catalog(smart=alias("together/meta/llama-3"))
        targets = made.route(ALIAS_PROVIDER, "smart").targets
        assert targets == (Target("together", "meta/llama-3"),)

    def test_other_deployments_come_before_the_fallbacks(self, catalog):
        fallbacks = ["anthropic/claude-sonnet-4-5", "cheap"]
        made = catalog(
            smart=alias("openai/gpt-4", "openai/gpt-4o", fallbacks=fallbacks),
            cheap=alias("openai/gpt-4o-mini", fallbacks=["openai/gpt-4"]),
        )
        targets = made.route(ALIAS_PROVIDER, "smart").targets
        assert set(targets[:2]) == {GPT4, GPT4O}
        assert targets[2:] == (CLAUDE, MINI)

    def test_they_have_their_own_patience(self, catalog):
        timeouts = {"first_token": 2.5, "total": 9.0}
        made = catalog(
            smart=alias("openai/gpt-4", retries=0, timeouts=timeouts),
            cheap=alias("openai/gpt-4"),
        )
        smart, cheap = (made.route(ALIAS_PROVIDER, name) for name in ("smart", "cheap"))
        assert (smart.retries, cheap.retries) == (0, 2)
        assert (smart.deadline_seconds, cheap.deadline_seconds) == (9.0, 120.0)
        assert (smart.total_seconds, cheap.total_seconds) == (9.0, None)
        assert smart.timeouts == Timeouts(5.0, 2.5, 30.0)
        assert cheap.timeouts == Timeouts(5.0, 30.0, 30.0)

    def test_the_fallback_of_the_settings_is_not_theirs(self, catalog):
        chosen = {"llm_fallback_provider": "anthropic"}
        made = catalog(overrides=chosen, smart=alias("openai/gpt-4"))
        assert made.route(ALIAS_PROVIDER, "smart").targets == (GPT4,)


class TestWindowsAndPrices:
    @pytest.mark.parametrize(
        ("deployment", "window"),
        [
            (Deployment(GPT4O), 128_000),
            (Deployment(GPT4O, context_window=8), 8),
            (Deployment(Target("ollama", "llama3.2"), context_window=8), 8),
            (Deployment(Target("ollama", "llama3.2")), None),
        ],
    )
    def test_the_operator_goes_before_the_catalogue(self, catalog, deployment, window):
        assert catalog().window_of(deployment) == window


class TestEntries:
    def entries(self, catalog, default: str):
        made = catalog(
            providers={"Mine": ProviderConfig(base_url="http://mine.test")},
            overrides={"llm_provider": default},
            Smart=alias("openai/gpt-4o"),
        )
        return {(e.provider, e.model): e.default for e in made.entries()}

    def test_they_are_aliases_and_default_models(self, catalog):
        entries = self.entries(catalog, "openai")

        assert next(iter(entries)) == (ALIAS_PROVIDER, "Smart")
        assert {("openai", "gpt-4"), ("anthropic", "claude-sonnet-4-5")} <= set(entries)
        assert not {"mine", "groq"} & {provider for provider, _ in entries}

    @pytest.mark.parametrize(
        ("default", "entry"),
        [
            ("openai", ("openai", "gpt-4")),
            ("Anthropic", ("anthropic", "claude-sonnet-4-5")),
            ("Smart", (ALIAS_PROVIDER, "Smart")),
        ],
    )
    def test_one_of_them_is_the_default(self, catalog, default, entry):
        entries = self.entries(catalog, default)
        assert [each for each, chosen in entries.items() if chosen] == [entry]


class TestCheck:
    def test_what_leads_somewhere_passes(self, catalog):
        made = catalog(
            providers={"mine": ProviderConfig(base_url="http://mine.test")},
            overrides={"llm_provider": "smart", "llm_fallback_provider": "anthropic"},
            smart=alias("openai/gpt-4o", "mine/m", fallbacks=["cheap"]),
            cheap=alias("sandbox/sandbox"),
        )
        assert made.check() is None

    @pytest.mark.parametrize(
        ("overrides", "problem"),
        [
            ({"llm_provider": "opnai"}, "LLM_PROVIDER: Unknown provider. Did you mean"),
            (
                {"llm_fallback_provider": "nobody"},
                "LLM_FALLBACK_PROVIDER: Unknown provider. Known: anthropic,",
            ),
            (
                {"openai_api_key": None},
                "LLM_PROVIDER: The provider 'openai' is not configured on this server:"
                " OPENAI_API_KEY is not set",
            ),
            (
                {"llm_fallback_provider": "groq"},
                "LLM_FALLBACK_PROVIDER: The provider 'groq' is not configured on this"
                " server: GROQ_API_KEY is not set",
            ),
            (
                {"llm_provider": "together", "together_api_key": "k"},
                "LLM_PROVIDER: No model is configured for the provider 'together':"
                " TOGETHER_MODEL is not set",
            ),
            (
                {"vllm_base_url": "SECRET"},
                "providers: The provider is not configured on this server:"
                " VLLM_BASE_URL: must start with https:// or http:// and name a host",
            ),
        ],
    )
    def test_settings_that_lead_nowhere_are_named(self, catalog, overrides, problem):
        with pytest.raises(ConfigurationError) as caught:
            catalog(overrides=overrides).check()
        assert str(caught.value).startswith(problem)
        assert "\n" not in str(caught.value)
        assert "SECRET" not in str(caught.value)

    @pytest.mark.parametrize(
        ("fields", "problem"),
        [
            (
                {"smart": alias("nobody/m")},
                "llm-proxy.yaml: models.smart.deployments.0.model: nobody/m:"
                " Unknown provider.",
            ),
            (
                {"smart": alias("openai/m", fallbacks=["groq/m"])},
                "llm-proxy.yaml: models.smart.fallbacks.0: groq/m:"
                " The provider 'groq' is not configured on this server:"
                " GROQ_API_KEY is not set",
            ),
            (
                {"providers": {"mine": ProviderConfig()}},
                "providers: The provider is not configured on this server:"
                " MINE_BASE_URL is not set",
            ),
        ],
    )
    def test_so_is_a_file_that_does(self, catalog, fields, problem):
        with pytest.raises(ConfigurationError) as caught:
            catalog(**fields).check()
        assert str(caught.value).startswith(problem)
