import re
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import ValidationError

from llm_proxy.config import ProxyConfig, load_config
from llm_proxy.settings import ConfigurationError, Settings

ROOT = Path(__file__).parent.parent
VARIABLES = {"VLLM_KEY": "sk-SECRET", "REGION": "eu"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "proxy.yaml"


@pytest.fixture
def load(path):
    def load(text, **variables):
        path.write_text(text)
        return load_config(path, {**VARIABLES, **variables}.get)

    return load


@pytest.fixture
def problems(load, path):
    def problems(text, **variables):
        with pytest.raises(ConfigurationError) as caught:
            load(text, **variables)
        assert "SECRET" not in str(caught.value)
        lines = str(caught.value).splitlines()
        assert all(line.startswith(f"{path}: ") for line in lines)
        return [line.removeprefix(f"{path}: ") for line in lines]

    return problems


class TestFile:
    def test_default_file_is_optional(self, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        assert load_config(None, VARIABLES.get) == ProxyConfig()
        Path("llm-proxy.yaml").write_text("providers: {groq: {}}")
        assert set(load_config(None, VARIABLES.get).providers) == {"groq"}

    def test_named_file_must_exist(self, tmp_path):
        with pytest.raises(ConfigurationError, match=r"none\.yaml: No such file"):
            load_config(tmp_path / "none.yaml", VARIABLES.get)

    def test_directory_is_no_file(self, tmp_path):
        with pytest.raises(ConfigurationError, match="directory"):
            load_config(tmp_path, VARIABLES.get)

    def test_syntax_error_names_the_line(self, problems):
        (problem,) = problems("providers:\n  a: [SECRET")
        assert problem.startswith("line 2: ")

    def test_too_large(self, problems):
        assert problems("#" * 1_048_577) == ["larger than 1048576 bytes"]

    @pytest.mark.parametrize(
        "text", ["", "# nothing", "providers:\nmodels:\nguardrails:\n"]
    )
    def test_empty_is_the_default(self, load, text):
        assert load(text) == ProxyConfig()

    def test_example_of_the_page(self, load):
        page = (ROOT / "docs" / "settings.md").read_text()
        (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
        config = load(example)
        assert set(config.models) == {"smart", "cheap"}


class TestValues:
    def test_everything(self, load):
        config = load(
            """
            providers:
              openai:
              vllm-eu:
                api: anthropic
                base_url: "http://10.0.0.5:8000/${REGION}"
                api_key: ${VLLM_KEY}
                model: llama
                headers: {X-Region: "${REGION}-1"}
            models:
              smart:
                deployments:
                  - {model: openai/gpt-4o, weight: 3}
                  - {model: vllm-eu/meta/llama}
                fallbacks: [anthropic/claude, cheap]
                retries: 0
                timeouts: {first_token: 0.5}
              cheap: {deployments: [{model: openai/mini}]}
            guardrails: {pii: false, injection: off}
            """
        )
        assert config.providers["openai"].api == "openai"
        vllm = config.providers["vllm-eu"]
        assert vllm.api == "anthropic"
        assert vllm.base_url == "http://10.0.0.5:8000/eu"
        assert vllm.api_key.get_secret_value() == "sk-SECRET"
        assert vllm.model == "llama"
        assert vllm.headers == {"X-Region": "eu-1"}
        smart = config.models["smart"]
        assert [(d.model, d.weight) for d in smart.deployments] == [
            ("openai/gpt-4o", 3),
            ("vllm-eu/meta/llama", 1),
        ]
        assert smart.fallbacks == ("anthropic/claude", "cheap")
        assert smart.retries == 0
        assert smart.timeouts.first_token == 0.5
        assert smart.timeouts.total is None
        assert config.models["cheap"].retries is None
        assert config.guardrails.pii is False
        assert config.guardrails.injection == "off"

    def test_frozen(self, load):
        with pytest.raises(ValidationError):
            load("").guardrails = None

    def test_secrets_do_not_show(self, load):
        config = load("providers: {a: {api_key: '${VLLM_KEY}', headers: {A: SECRET}}}")
        assert "SECRET" not in repr(config)


class TestProblems:
    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("modles: {}", "modles: unknown key; did you mean 'models'?"),
            (
                "models: {smart: {deployments: [{model: a/b, weigth: 1}]}}",
                "models.smart.deployments.0.weigth: unknown key;"
                " did you mean 'weight'?",
            ),
            (
                "models: {a: {deployments: [{model: a/b}], timeouts: {idle: 1}}}",
                "models.a.timeouts.idle: unknown key; known: first_token, total",
            ),
            (
                "providers: {a: {baseUrl: x}}",
                "providers.a.baseUrl: unknown key; did you mean 'base_url'?",
            ),
            (
                "providers: {a: {api_key:sk-SECRET1}}",
                "providers.a: unknown key; known: api, base_url, api_key, model,"
                " headers",
            ),
            ("- a", "must be a section of names and values"),
            ("models: [SECRET]", "models: must be a section of names and values"),
            ("providers: {a: SECRET}", "providers.a: must be a section"),
            ("models: {a: {}}", "models.a.deployments: required"),
            ("models: {a: {deployments: }}", "models.a.deployments: must be a list"),
            ("models: {a: {deployments: []}}", "models.a.deployments: must name"),
            (
                "models: {a: {deployments: [{model: cheap}]}}",
                "models.a.deployments.0.model: must be provider/model",
            ),
            (
                "models: {a: {deployments: [{model: a/b, weight: 0}]}}",
                "models.a.deployments.0.weight: ",
            ),
            (
                "models: {a: {deployments: [{model: a/b, weight: true}]}}",
                "models.a.deployments.0.weight: ",
            ),
            (
                "models: {a: {deployments: [{model: a/b}], retries: 6}}",
                "models.a.retries: ",
            ),
            (
                "models: {a: {deployments: [{model: a/b}], timeouts: {total: 0}}}",
                "models.a.timeouts.total: ",
            ),
            (
                "models: {a/b: {deployments: [{model: a/b}]}}",
                "models.a/b: a name has",
            ),
            ("providers: {a b: {}}", "providers.a b: a name has"),
            ("providers: {a: {api: SECRET}}", "providers.a.api: "),
            ("providers: {a: {headers: {A: 1}}}", "providers.a.headers.A: "),
            ("providers: {a: {base_url: SECRET}}", "providers.a.base_url: must start"),
            ("guardrails: {pii: yes}", "guardrails.pii: "),
            ("guardrails: {injection: SECRET}", "guardrails.injection: "),
            ("models: {}\nmodels: {}", "line 2: this key stands twice"),
        ],
    )
    def test_place_and_reason(self, problems, text, problem):
        (found,) = problems(text)
        assert found.startswith(problem)

    def test_all_at_once(self, problems):
        text = "providers: {a: {api: x, model: 1}}\nguardrails: {pii: 3}"
        assert [line.split(":")[0] for line in problems(text)] == [
            "providers.a.api",
            "providers.a.model",
            "guardrails.pii",
        ]

    def test_plain_http_is_refused_in_production(self, load, problems):
        public = "providers: {a: {base_url: 'http://a.example.com'}}"
        load(public)
        (problem,) = problems(public, ENVIRONMENT="production")
        assert problem.startswith("providers.a.base_url: must use https")
        load("providers: {a: {base_url: 'http://vllm'}}", ENVIRONMENT="production")


class TestVariables:
    def test_unset_is_refused_by_name(self, problems):
        (problem,) = problems("providers: {a: {api_key: '${NO_KEY}'}}")
        assert problem == "providers.a.api_key: the variable NO_KEY is not set"

    @pytest.mark.parametrize(
        "text", ["${", "${REGION", "${}", "${A-B}", "${REGION:-x}"]
    )
    def test_malformed(self, problems, text):
        (problem,) = problems(f"providers: {{a: {{model: '{text}'}}}}")
        assert problem.startswith("providers.a.model: '${' must be followed by")

    def test_values_are_not_looked_into(self, load):
        config = load("providers: {a: {model: '${A}'}}", A="${B}: [*x]", B="no")
        assert config.providers["a"].model == "${B}: [*x]"

    def test_key_written_into_the_file_is_refused(self, problems):
        (problem,) = problems("providers: {a: {api_key: sk-SECRET}}")
        assert problem.startswith("providers.a.api_key: keys do not belong")

    def test_settings_provide_them(self, path, monkeypatch):
        monkeypatch.delenv("ENVIRONMENT", raising=False)
        path.write_text("providers: {a: {api_key: '${VLLM_KEY}'}}")
        settings = Settings(api_token="t", vllm_key="k")
        config = load_config(path, settings.variable)
        assert config.providers["a"].api_key.get_secret_value() == "k"


class TestFallbacks:
    def models(self, **fallbacks):
        rows = [
            f"  {alias}: {{deployments: [{{model: a/b}}], fallbacks: [{names}]}}"
            for alias, names in fallbacks.items()
        ]
        return "\n".join(["models:", *rows])

    def test_unknown_alias(self, problems):
        assert problems(self.models(smart="x/y, chaep", cheap="")) == [
            "models.smart.fallbacks.1: unknown alias; did you mean 'cheap'?"
        ]

    def test_half_a_model(self, problems):
        (problem,) = problems(self.models(smart="x/"))
        assert problem == "models.smart.fallbacks.0: must be provider/model"

    @pytest.mark.parametrize(
        ("fallbacks", "loop"),
        [
            ({"a": "a"}, {"a"}),
            ({"a": "b", "b": "c", "c": "b"}, {"b", "c"}),
        ],
    )
    def test_loop(self, problems, fallbacks, loop):
        (problem,) = problems(self.models(**fallbacks))
        names = problem.removeprefix("models: the fallbacks go round in a loop: ")
        path = names.split(" -> ")
        assert path[0] == path[-1]
        assert set(path) == loop
        assert all(step in fallbacks[name] for name, step in pairwise(path))

    def test_shared_fallback_is_no_loop(self, load):
        text = self.models(a="b, c", b="c", c="")
        assert load(text).models["a"].fallbacks == ("b", "c")
