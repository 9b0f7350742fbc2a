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

    def test_how_a_model_is_served(self, load):
        config = load(
            """
            models:
              smart:
                deployments: [{model: a/b, context_window: 8192}]
                timeouts: {connect: 1, first_token: 2.5, idle: 3, total: 4}
                stream_recovery: continue
                hedge_after: 0.5
                affinity: {by: conversation, ttl: 60}
                content_filter: fallback
              cheap: {deployments: [{model: a/b}]}
              auto:
                complexity:
                  simple: cheap
                  fast: c/d
                  complex: smart
                  thresholds: [0.2, 0.2]
                  keywords: [prove]
            """
        )
        smart, cheap, auto = config.models.values()
        assert smart.deployments[0].context_window == 8192
        assert smart.timeouts.model_dump() == {
            "connect": 1,
            "first_token": 2.5,
            "idle": 3,
            "total": 4,
        }
        assert (smart.stream_recovery, smart.hedge_after) == ("continue", 0.5)
        assert (smart.affinity.by, smart.affinity.ttl) == ("conversation", 60)
        assert smart.content_filter == "fallback"
        assert auto.complexity.names == auto.references == ("cheap", "c/d", "smart")
        assert auto.complexity.thresholds == (0.2, 0.2)
        assert auto.complexity.keywords == ("prove",)
        assert (cheap.stream_recovery, cheap.content_filter) == ("off", "stop")
        assert (cheap.hedge_after, cheap.affinity, cheap.complexity) == (None,) * 3

    def test_complexity_is_the_documented_one_by_default(self, load):
        levels = "simple: a/b, fast: a/b, complex: a/b"
        auto = load(f"models: {{auto: {{complexity: {{{levels}}}}}}}").models["auto"]
        assert auto.complexity.thresholds == (0.3, 0.7)
        assert auto.complexity.keywords == ("analyze", "compare", "explain in detail")

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
                "models: {a: {deployments: [{model: a/b}], timeouts: {idel: 1}}}",
                "models.a.timeouts.idel: unknown key; did you mean 'idle'?",
            ),
            (
                "models: {a: {affinity: {by: user, X: 1}}}",
                "models.a.affinity.X: unknown key; known: by, ttl",
            ),
            (
                "models: {a: {complexity: {fast: a/b, complex: a/b}}}",
                "models.a.complexity.simple: required",
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
            ("models: {a: {}}", "models.a: needs either deployments or complexity"),
            ("models: {a: {deployments: }}", "models.a: needs either deployments"),
            ("models: {a: {deployments: 1}}", "models.a.deployments: must be a list"),
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
                "models: {a: {deployments: [{model: a/b}], stream_recovery: SECRET}}",
                "models.a.stream_recovery: ",
            ),
            (
                "models: {a: {deployments: [{model: a/b}], hedge_after: 0}}",
                "models.a.hedge_after: ",
            ),
            (
                "models: {a: {deployments: [{model: a/b}], content_filter: SECRET}}",
                "models.a.content_filter: ",
            ),
            (
                "models: {a: {deployments: [{model: a/b, context_window: 0}]}}",
                "models.a.deployments.0.context_window: ",
            ),
            (
                "models: {a: {deployments: [{model: a/b}], affinity: {by: SECRET}}}",
                "models.a.affinity.by: ",
            ),
            (
                "models: {a: {deployments: [{model: a/b}],"
                " affinity: {by: user, ttl: .inf}}}",
                "models.a.affinity.ttl: ",
            ),
            (
                "models: {a: {complexity: {simple: a/b, fast: a/b, complex: a/b,"
                " thresholds: [0.7, 0.3]}}}",
                "models.a.complexity: thresholds: the first must not exceed",
            ),
            (
                "models: {a: {complexity: {simple: a/b, fast: a/b, complex: a/b,"
                " thresholds: [0, 1.5]}}}",
                "models.a.complexity.thresholds.1: ",
            ),
            (
                "models: {a: {retries: 1,"
                " complexity: {simple: a/b, fast: a/b, complex: a/b}}}",
                "models.a: complexity leaves everything else",
            ),
            (
                "models: {a: {deployments: [{model: a/b}],"
                " complexity: {simple: a/b, fast: a/b, complex: a/b}}}",
                "models.a: needs either deployments or complexity",
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


def test_our_own_models_are_no_upstream(problems):
    assert problems("providers: {LLM-Proxy: {model: a}}") == [
        "providers.llm-proxy: the name stands for the models of this file"
    ]


class TestFallbacks:
    def models(self, **fallbacks):
        rows = [
            f"  {alias}: {{deployments: [{{model: a/b}}], fallbacks: [{names}]}}"
            for alias, names in fallbacks.items()
        ]
        return "\n".join(["models:", *rows])

    def test_unknown_alias(self, problems):
        assert problems(self.models(smart="x/y, chaep", cheap="")) == [
            "models.smart.fallbacks.1: unknown alias 'chaep'; did you mean 'cheap'?"
        ]

    def test_unknown_alias_of_a_complexity(self, problems):
        levels = "simple: a/b, fast: chaep, complex: a/b"
        assert problems(
            f"models: {{cheap: {{deployments: [{{model: a/b}}]}},"
            f" auto: {{complexity: {{{levels}}}}}}}"
        ) == [
            "models.auto.complexity.fast: unknown alias 'chaep'; did you mean 'cheap'?"
        ]

    def test_complexity_loops_as_well(self, problems):
        levels = "simple: a/b, fast: a/b, complex: smart"
        (problem,) = problems(
            "models: {smart: {deployments: [{model: a/b}], fallbacks: [auto]},"
            f" auto: {{complexity: {{{levels}}}}}}}"
        )
        assert problem.startswith("models: the fallbacks go round in a loop: ")

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
