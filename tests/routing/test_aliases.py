import pytest

from llm_proxy.config import ALIAS_PROVIDER, AffinityConfig, ModelConfig
from llm_proxy.routing import Deployment, Target
from llm_proxy.settings import ConfigurationError

BIG, MINI = Target("openai", "gpt-4o"), Target("openai", "gpt-4o-mini")
CLAUDE = Target("anthropic", "claude-sonnet-4-5")
CLAUDE_NAME = str(CLAUDE)


def alias(*models: str, **fields: object) -> ModelConfig:
    deployments = [{"model": model} for model in models]
    return ModelConfig.model_validate({"deployments": deployments} | fields)


def by_complexity(simple: str, fast: str, hard: str, **fields: object) -> ModelConfig:
    levels = {"simple": simple, "fast": fast, "complex": hard}
    return ModelConfig.model_validate({"complexity": levels | fields})


SMART = alias("openai/gpt-4o", retries=0, stream_recovery="buffer")
CHEAP = alias("openai/gpt-4o-mini")
AUTO = by_complexity("cheap", CLAUDE_NAME, "smart")


@pytest.fixture
def made(catalog):
    last = alias(CLAUDE_NAME, fallbacks=["auto"])
    return catalog(smart=SMART, cheap=CHEAP, auto=AUTO, last=last)


class TestRoute:
    def test_deployments_are_one_tier_and_fallbacks_one_each(self, catalog):
        fallbacks = [CLAUDE_NAME, "cheap"]
        both = {
            "deployments": [
                {"model": "openai/gpt-4o", "weight": 3, "context_window": 8},
                {"model": "openai/gpt-4"},
            ],
            "fallbacks": fallbacks,
        }
        made = catalog(smart=ModelConfig.model_validate(both), cheap=CHEAP)
        assert made.resolve("smart").tiers == (
            (Deployment(BIG, 3, 8), Deployment(Target("openai", "gpt-4"))),
            (Deployment(CLAUDE),),
            (Deployment(MINI),),
        )

    def test_it_says_what_the_operator_wants(self, catalog):
        affinity = AffinityConfig(by="user", ttl=60.0)
        made = catalog(
            smart=alias(
                "openai/gpt-4o",
                stream_recovery="continue",
                hedge_after=0.5,
                content_filter="fallback",
                affinity=affinity,
            ),
            cheap=CHEAP,
        )
        smart, cheap = made.resolve("smart"), made.resolve("cheap")
        assert (smart.stream_recovery, smart.hedge_after) == ("continue", 0.5)
        assert (smart.reroutes_filtered, smart.affinity) == (True, affinity)
        assert (cheap.stream_recovery, cheap.hedge_after) == ("off", None)
        assert (cheap.reroutes_filtered, cheap.affinity) == (False, None)

    def test_it_is_made_once_for_each_surface(self, made):
        native = made.route(ALIAS_PROVIDER, "smart")
        assert made.route(ALIAS_PROVIDER, "smart") is native
        other = made.resolve("smart")
        assert made.resolve("smart") is other
        assert other.deadline_seconds != native.deadline_seconds

    @pytest.mark.parametrize("name", ["llm-proxy/auto", "LLM-Proxy/auto"])
    def test_our_own_name_is_for_callers(self, catalog, name):
        made = catalog(auto=alias("openai/gpt-4o", fallbacks=[name]))
        with pytest.raises(
            ConfigurationError, match=r"models\.auto\..*: Unknown provider"
        ):
            made.check()


class TestComplexity:
    @pytest.mark.parametrize(
        ("prompt", "target", "reason"),
        [
            ("Hi", MINI, "auto: complexity 0.001 is simple: cheap"),
            ("analyze this", CLAUDE, f"auto: complexity 0.341 is fast: {CLAUDE_NAME}"),
            ("analyze?" + "x" * 492, BIG, "auto: complexity 0.700 is complex: smart"),
        ],
    )
    def test_the_prompt_chooses(self, made, prompt, target, reason):
        for _ in range(2):
            route = made.resolve("auto", lambda: prompt)
            assert route.targets == (target,)
            assert route.reason == reason

    def test_the_chosen_one_says_how_hard_to_try(self, made):
        hard = made.resolve("auto", lambda: "compare??" + "x" * 492)
        assert (hard.retries, hard.stream_recovery) == (0, "buffer")
        assert made.resolve("smart").reason == ""

    def test_the_native_surface_has_it_as_well(self, made):
        route = made.route(ALIAS_PROVIDER, "auto", lambda: "analyze this")
        assert (route.targets, route.deadline_seconds) == ((CLAUDE,), 120.0)

    def test_it_may_be_the_default(self, catalog):
        made = catalog(
            overrides={"llm_provider": "auto"}, smart=SMART, cheap=CHEAP, auto=AUTO
        )
        assert made.default_route(lambda: "Hi").targets == (MINI,)
        assert made.default_route(lambda: "analyze").targets == (CLAUDE,)

    def test_prompts_are_read_only_where_they_choose(self, made):
        def prompt():
            pytest.fail("nobody needs it")

        assert made.resolve("smart", prompt).targets == (BIG,)

    def test_the_operator_may_change_the_formula(self, catalog):
        levels = ("openai/gpt-4o-mini", CLAUDE_NAME, "openai/gpt-4o")
        mine = by_complexity(*levels, thresholds=[0.1, 0.3], keywords=["Prove"])
        made = catalog(auto=mine)
        assert made.resolve("auto", lambda: "prove it").targets == (BIG,)
        assert made.resolve("auto", lambda: "analyze it").targets == (MINI,)

    def test_one_may_lead_to_another(self, catalog):
        inner = by_complexity("openai/gpt-4o-mini", "openai/gpt-4o", "openai/gpt-4o")
        outer = by_complexity("inner", "inner", CLAUDE_NAME)
        made = catalog(inner=inner, outer=outer)
        assert made.resolve("outer", lambda: "Hi").targets == (MINI,)
        assert made.resolve("outer", lambda: "analyze").targets == (BIG,)

    def test_as_a_fallback_it_is_asked_from_its_best_down(self, made):
        assert made.resolve("last").targets == (CLAUDE, BIG, MINI)

    def test_all_that_it_names_is_checked(self, catalog):
        made = catalog(auto=by_complexity("openai/a", "openai/b", "nobody/m"))
        with pytest.raises(
            ConfigurationError, match=r"models\.auto\..*: Unknown provider"
        ):
            made.check()
