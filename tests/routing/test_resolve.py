import subprocess
import sys

import pytest

from llm_proxy.config import ModelConfig
from llm_proxy.errors import ProviderNotConfiguredError, UnknownModelError
from llm_proxy.routing import Deployment, ListedModel, Route, Target
from llm_proxy.types import Timeouts

SMART = ModelConfig.model_validate(
    {"deployments": [{"model": "anthropic/claude-sonnet-4-5"}], "retries": 0}
)
CLAUDE = Target("anthropic", "claude-sonnet-4-5")
PATIENT = Timeouts(connect=5.0, first_token=600.0, idle=60.0)


@pytest.fixture
def only(catalog):
    """Makes catalogs of a machine that has just these keys."""
    none = {"openai_api_key": None, "anthropic_api_key": None, "llm_provider": "local"}

    def only(**overrides: object):
        return catalog(overrides=none | overrides)

    return only


def target(catalog, name: str) -> Target:
    (found,) = catalog.resolve(name).targets
    return found


class TestAliases:
    @pytest.mark.parametrize("name", ["smart", "llm-proxy/smart", "LLM-Proxy/smart"])
    def test_with_and_without_our_name(self, catalog, name):
        expected = Route(
            ((Deployment(CLAUDE),),),
            0,
            600.0,
            PATIENT,
            names=("smart", "llm-proxy/smart"),
        )
        assert catalog(smart=SMART).resolve(name) == expected

    def test_they_go_before_everything_else(self, catalog):
        made = catalog(**{"gpt-4o": SMART, "sandbox": SMART})
        assert target(made, "gpt-4o") == CLAUDE
        assert target(made, "sandbox") == CLAUDE


class TestQualified:
    @pytest.mark.parametrize(
        ("name", "provider", "model"),
        [
            ("openai/gpt-4o", "openai", "gpt-4o"),
            ("OpenAI/gpt-4o", "openai", "gpt-4o"),
            ("ollama/llama3.2", "ollama", "llama3.2"),
            (
                "openrouter/meta-llama/llama-3.3-70b",
                "openrouter",
                "meta-llama/llama-3.3-70b",
            ),
            ("huggingface/org/model:tag", "huggingface", "org/model:tag"),
            ("openai/claude-sonnet-4-5", "openai", "claude-sonnet-4-5"),
            ("openrouter/auto", "openrouter", "openrouter/auto"),
        ],
    )
    def test_a_provider_and_its_name_of_a_model(
        self, catalog, monkeypatch, name, provider, model
    ):
        monkeypatch.setenv("OPENROUTER_API_KEY", "k")
        monkeypatch.setenv("HF_TOKEN", "k")
        assert target(catalog(), name) == Target(provider, model)

    def test_no_default_model_goes_before_it(self, only):
        made = only(
            openai_api_key="k", openrouter_api_key="k", openrouter_model="openai/gpt-4o"
        )
        assert target(made, "openai/gpt-4o") == Target("openai", "gpt-4o")

    def test_a_provider_without_its_key_is_the_operators(self, catalog):
        with pytest.raises(ProviderNotConfiguredError):
            catalog().resolve("groq/llama-3.3-70b-versatile")

    def test_who_names_a_model_gets_no_other(self, catalog):
        made = catalog(overrides={"llm_fallback_provider": "anthropic"})
        assert target(made, "openai/gpt-4o") == Target("openai", "gpt-4o")


class TestDefaultModels:
    @pytest.mark.parametrize(
        ("name", "provider"), [("sandbox", "sandbox"), ("our-own", "openai")]
    )
    def test_their_bare_names(self, catalog, name, provider):
        made = catalog(overrides={"openai_model": "our-own"})
        assert target(made, name) == Target(provider, name)

    def test_they_go_before_the_vendor(self, catalog):
        made = catalog(overrides={"openai_model": "claude-opus-4-1"})
        assert target(made, "claude-opus-4-1").provider == "openai"

    @pytest.mark.parametrize("provider", ["openai", "anthropic", "OpenAI"])
    def test_of_two_the_default_provider_has_it(self, catalog, provider):
        same = {"openai_model": "ours", "anthropic_model": "ours"}
        made = catalog(overrides=same | {"llm_provider": provider})
        assert target(made, "ours").provider == provider.lower()


class TestVendors:
    @pytest.mark.parametrize(
        ("name", "provider"),
        [
            ("gpt-4o", "openai"),
            ("gpt-5.9-turbo-preview", "openai"),
            ("ft:gpt-4o:org::id", "openai"),
            ("omni-moderation-latest", "openai"),
            ("claude-opus-4-1", "anthropic"),
        ],
    )
    def test_a_name_leads_to_the_vendor_that_has_a_key(self, catalog, name, provider):
        assert target(catalog(), name) == Target(provider, name)

    @pytest.mark.parametrize(
        ("key", "name", "found"),
        [
            ("groq_api_key", "llama-3.3-70b-versatile", None),
            ("groq_api_key", "whisper-large-v3", None),
            ("groq_api_key", "gpt-oss-120b", "openai/gpt-oss-120b"),
            ("openrouter_api_key", "gpt-4o", "openai/gpt-4o"),
            ("openrouter_api_key", "x-ai/grok-4.3", None),
        ],
    )
    def test_else_to_another_who_sells_it(self, only, key, name, found):
        expected = Target(key.removesuffix("_api_key"), found or name)
        assert target(only(**{key: "k"}), name) == expected

    def test_the_vendor_goes_before_others(self, only):
        made = only(openai_api_key="k", openrouter_api_key="k")
        assert target(made, "gpt-4o") == Target("openai", "gpt-4o")

    def test_many_names_are_all_found_again(self, catalog):
        made = catalog()
        for number in (*range(3000), 0, 0):
            name = f"gpt-{number}"
            assert target(made, name) == Target("openai", name)


class TestUnknown:
    def message(self, catalog, name: str) -> str:
        with pytest.raises(UnknownModelError) as caught:
            catalog.resolve(name)
        assert (caught.value.status, caught.value.code) == (404, "MODEL_NOT_FOUND")
        return caught.value.message

    @pytest.mark.parametrize(
        "name", ["", "/", "openai/", "nonsense", "nobody/m", "llm-proxy/dear", "Smart"]
    )
    def test_it_says_how_a_model_is_named(self, catalog, name):
        message = self.message(catalog(smart=SMART), name)
        assert message.startswith(f"The model '{name}' does not exist or you do not ")
        assert message.endswith("Any model can be asked for as provider/model.")

    @pytest.mark.parametrize(
        ("name", "near"),
        [("smrat", "'smart'"), ("text-embeding-3-smal", "'text-embedding-3-small'")],
    )
    def test_it_names_the_nearest(self, catalog, name, near):
        assert f"Did you mean {near}" in self.message(catalog(smart=SMART), name)

    @pytest.mark.parametrize(
        ("name", "vendor"),
        [
            ("gemini-9-pro", "gemini"),
            ("mistral-large-latest", "mistral"),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock"),
        ],
    )
    def test_it_tells_which_key_is_missing(self, catalog, name, vendor):
        expected = f"The provider '{vendor}' is not configured on this server."
        assert expected in self.message(catalog(), name)

    @pytest.mark.parametrize(
        "name",
        ["gpt-" + "x" * 100_000, "a\x00\r\n\x1b[31m", "\ud800" * 300, "gpt-4o\n"],
    )
    def test_it_repeats_little_and_nothing_odd(self, catalog, name):
        message = self.message(catalog(), name)
        assert message.isprintable()
        assert len(message) < 500

    def test_it_is_not_remembered(self, catalog):
        made = catalog()
        assert self.message(made, "nonsense") == self.message(made, "nonsense")

    def test_providers_for_development_are_hidden_in_production(self, catalog):
        strong = {
            "environment": "production",
            "api_token": "x7Kq2mZp9Lw4Rt6Yv8Bn3Cd5Fg1Hj0Ks",
        }
        made = catalog(overrides=strong)
        assert "'sandbox'" in self.message(made, "sandbox")
        self.message(made, "sandbox/sandbox")


class TestListed:
    def test_aliases_default_models_and_what_vendors_sell(self, catalog):
        models = {model.id: model for model in catalog(smart=SMART).listed()}

        assert models["smart"] == ListedModel("smart", "llm-proxy", "smart")
        assert models["openai/gpt-4"].owned_by == "openai"
        assert models["sandbox/sandbox"].owned_by == "sandbox"
        assert models["gpt-4o"].owned_by == "openai"
        assert models["gpt-4o"].context_window == 128_000
        assert models["claude-sonnet-4-5"].display_name == "Claude Sonnet 4.5"
        assert {model.created for model in models.values()} == {0}
        assert not [name for name in models if name.startswith(("gemini", "groq"))]

    def test_every_id_leads_to_its_owner(self, only):
        made = only(openai_api_key="k", openrouter_api_key="k", groq_api_key="k")
        listed = made.listed()

        assert {"groq/openai/gpt-oss-120b", "llama-3.3-70b-versatile", "gpt-4o"} <= {
            model.id for model in listed
        }
        assert [
            model.id
            for model in listed
            if target(made, model.id).provider != model.owned_by
        ] == []

    def test_an_alias_hides_the_model_of_its_name(self, catalog):
        owners = {m.id: m.owned_by for m in catalog(**{"gpt-4o": SMART}).listed()}
        assert owners["gpt-4o"] == "llm-proxy"

    def test_two_providers_may_have_the_same_default_model(self, catalog):
        same = {"openai_model": "ours", "anthropic_model": "ours"}
        ids = [model.id for model in catalog(overrides=same).listed()]
        assert {"openai/ours", "anthropic/ours"} <= set(ids)


class TestListedModel:
    @pytest.mark.parametrize("name", ["smart", "llm-proxy/smart"])
    def test_an_alias(self, catalog, name):
        found = catalog(smart=SMART).listed_model(name)
        assert found == ListedModel("smart", "llm-proxy", "smart")

    @pytest.mark.parametrize(
        ("name", "owner", "context_window"),
        [
            ("gpt-4o", "openai", 128_000),
            ("openai/gpt-4o", "openai", 128_000),
            ("gpt-4o-2024-08-06", "openai", 128_000),
            ("gpt-5.9-turbo-preview", "openai", None),
            ("ollama/llama3.2", "ollama", None),
        ],
    )
    def test_whatever_resolves(self, catalog, name, owner, context_window):
        found = catalog().listed_model(name)
        assert (found.id, found.owned_by) == (name, owner)
        assert found.context_window == context_window

    @pytest.mark.parametrize("name", ["nonsense", "groq/llama-3.3-70b-versatile"])
    def test_what_cannot_be_asked_for_is_unknown(self, catalog, name):
        with pytest.raises(UnknownModelError):
            catalog().listed_model(name)


SCRIPT = """
import sys
import llm_proxy.main
from llm_proxy.config import ProxyConfig
from llm_proxy.providers import ProviderFactory
from llm_proxy.routing import Catalog
from llm_proxy.settings import Settings
from llm_proxy.transport import UpstreamClient

settings = Settings(environment="testing", api_token="t", openai_api_key="k")
factory = ProviderFactory(settings, ProxyConfig(), UpstreamClient())
catalog = Catalog(settings, ProxyConfig(), factory)
for name in ("openai/gpt-4o", "gpt-4o", "sandbox", "sandbox/sandbox"):
    catalog.resolve(name)
print("genai_prices" in sys.modules)
catalog.listed()
print("genai_prices" in sys.modules)
"""


def test_the_price_catalogue_is_loaded_when_it_is_needed(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout.split(), done.stderr) == (["False", "True"], "")
