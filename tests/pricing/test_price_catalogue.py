import pytest

from llm_proxy.pricing import Offer, PriceCatalogue


@pytest.fixture(scope="module")
def prices():
    return PriceCatalogue()


def sellers(prices, name: str) -> dict[str, str]:
    return {offer.provider: offer.model for offer in prices.offers(name)}


class TestOffers:
    @pytest.mark.parametrize(
        ("name", "offer"),
        [
            ("gpt-4o", Offer("openai", "gpt-4o")),
            ("GPT-4o", Offer("openai", "gpt-4o")),
            ("gpt-4o", Offer("openrouter", "openai/gpt-4o")),
            ("openai/gpt-4o", Offer("openrouter", "openai/gpt-4o")),
            ("gpt-4o", Offer("azure", "gpt-4o")),
            ("claude-sonnet-4-5", Offer("anthropic", "claude-sonnet-4-5")),
            ("gemini-2.5-pro", Offer("gemini", "gemini-2.5-pro")),
            ("grok-3", Offer("xai", "grok-3")),
            ("kimi-k2", Offer("moonshot", "kimi-k2")),
            ("amazon.nova-pro-v1:0", Offer("bedrock", "amazon.nova-pro-v1:0")),
            ("llama-3.3-70b-versatile", Offer("groq", "llama-3.3-70b-versatile")),
            ("gpt-oss-120b", Offer("groq", "openai/gpt-oss-120b")),
        ],
    )
    def test_sellers_are_found_under_our_names_and_theirs(self, prices, name, offer):
        assert offer in prices.offers(name)

    def test_who_uses_the_very_name_comes_first(self, prices):
        models = [offer.model for offer in prices.offers("gpt-oss-120b")]
        exact = ["/" not in model for model in models]
        assert exact == sorted(exact, reverse=True)
        assert {True, False} == set(exact)

    @pytest.mark.parametrize(
        ("name", "provider"),
        [
            ("claude-sonnet-4-5", "gemini"),
            ("gpt-oss-120b", "openai"),
            ("ft:gpt-4o", "openai"),
        ],
    )
    def test_what_an_api_does_not_take_is_not_offered(self, prices, name, provider):
        assert provider not in sellers(prices, name)

    def test_names_at_openrouter_have_an_author(self, prices):
        assert "/" in sellers(prices, "command-r")["openrouter"]

    def test_nobody_sells_what_is_unknown(self, prices):
        assert prices.offers("gpt-5.9-turbo-preview") == ()


class TestModels:
    def test_chat_and_embedding_models_are_listed(self, prices):
        names = {model.name for model in prices.models("openai")}
        assert {"gpt-4o", "o3", "text-embedding-3-small"} <= names

    @pytest.mark.parametrize(
        "name",
        ["gpt-image-1", "tts-1", "whisper-1", "gpt-4o-transcribe", "gpt-realtime"],
    )
    def test_those_for_other_things_are_not(self, prices, name):
        assert prices.find("openai", name) is not None
        assert name not in {model.name for model in prices.models("openai")}

    def test_deprecated_ones_are_not(self, prices):
        assert prices.find("gemini", "gemini-2.0-flash") is not None
        assert "gemini-2.0-flash" not in {m.name for m in prices.models("gemini")}

    def test_names_can_be_asked_for(self, prices):
        fireworks = [model.name for model in prices.models("fireworks")]
        assert "accounts/fireworks/models/kimi-k2p6" in fireworks
        bedrock = [model.name for model in prices.models("bedrock")]
        assert not [name for name in bedrock if name.startswith("regional.")]

    @pytest.mark.parametrize("provider", ["nobody", "azure", "sandbox"])
    def test_who_has_names_of_their_own_lists_nothing(self, prices, provider):
        assert prices.models(provider) == []


class TestFind:
    def test_a_dated_name_has_the_description_of_its_model(self, prices):
        found = prices.find("anthropic", "claude-sonnet-4-5-20250929")
        assert found.name == "claude-sonnet-4-5-20250929"
        assert found.display_name == "Claude Sonnet 4.5"
        assert found.context_window == 200_000

    @pytest.mark.parametrize(
        ("provider", "name"), [("nobody", "gpt-4o"), ("openai", "nothing")]
    )
    def test_unknown_ones_have_none(self, prices, provider, name):
        assert prices.find(provider, name) is None

    @pytest.mark.parametrize(
        ("provider", "name", "original"),
        [
            ("azure", "gpt-4o-2024-08-06", ("openai", "gpt-4o")),
            ("azure", "gpt-35-turbo", ("openai", "gpt-3.5-turbo")),
            ("azure", "claude-sonnet-4-5", ("anthropic", "claude-sonnet-4-5")),
            ("gemini", "models/gemini-2.5-flash", ("gemini", "gemini-2.5-flash")),
            ("openai", "gpt-4o-2099-12-31", ("openai", "gpt-4o")),
            ("openai", "gpt-4o-20991231", ("openai", "gpt-4o")),
        ],
    )
    def test_resold_and_new_versions_are_found(self, prices, provider, name, original):
        found, known = prices.find(provider, name), prices.find(*original)
        assert found.name == name
        assert found.price == known.price
        assert found.context_window == known.context_window

    @pytest.mark.parametrize("name", ["gpt-4o-prod", "gpt-4o-2099-99-99", "gpt-4o-7"])
    def test_what_only_looks_like_a_model_is_not(self, prices, name):
        assert prices.find("azure", name) is None


class TestSellerAt:
    @pytest.mark.parametrize(
        ("url", "provider"),
        [
            ("https://api.openai.com/v1", "openai"),
            ("https://api.x.ai/v1", "xai"),
            ("https://api.deepseek.com/anthropic", "deepseek"),
            ("http://vllm:8000/v1", None),
            ("https://example.com/https://api.openai.com", None),
        ],
    )
    def test_addresses_of_vendors(self, prices, url, provider):
        assert prices.seller_at(url) == provider
