import json
import sys

import boto3
import pytest
from moto import mock_aws
from pydantic import SecretStr

from llm_proxy.settings import ConfigurationError, Settings, load_settings

STRONG = "Zq3vT8xW1nB6yK0pL5sD9fG2hJ7mC4rE"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch, tmp_path):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def env_file(tmp_path):
    return tmp_path / ".env"


def problems(**overrides):
    with pytest.raises(ConfigurationError) as caught:
        load_settings(**overrides)
    assert caught.value.__context__ is None
    return str(caught.value).splitlines()


def minimal(**fields):
    return Settings(**{"api_token": "test_token", **fields})


class TestSources:
    def test_arguments_are_enough(self):
        settings = Settings(
            environment="testing", api_token="test_token", openai_api_key="k"
        )
        assert settings.environment == "testing"
        assert settings.tokens == {"default": "test_token"}
        assert settings.rate_limit == 60

    def test_arguments_win_over_environment_and_environment_over_env_file(
        self, monkeypatch, env_file
    ):
        env_file.write_text("API_TOKEN=f\nPORT=1\nRATE_LIMIT=1\nMAX_PROMPT_LENGTH=7\n")
        monkeypatch.setenv("PORT", "2")
        monkeypatch.setenv("RATE_LIMIT", "2")
        settings = load_settings(port=3)
        assert settings.port == 3
        assert settings.rate_limit == 2
        assert settings.max_prompt_length == 7
        assert settings.tokens == {"default": "f"}

    def test_settings_built_by_a_program_ignore_the_env_file(self, env_file):
        env_file.write_text("MAX_PROMPT_LENGTH=7\nGROQ_API_KEY=g\n")
        settings = minimal()
        assert settings.max_prompt_length == 4000
        assert settings.variable("GROQ_API_KEY") is None

    @pytest.mark.parametrize("environment", ["staging", "production"])
    def test_env_file_is_not_read_when_hosted(self, monkeypatch, env_file, environment):
        env_file.write_text("MAX_PROMPT_LENGTH=7\n")
        monkeypatch.setenv("ENVIRONMENT", environment)
        assert load_settings(api_token=STRONG).max_prompt_length == 4000

    def test_env_file_may_choose_testing_and_not_production(self, env_file):
        env_file.write_text("API_TOKEN=x\nENVIRONMENT=testing\n")
        assert load_settings().environment == "testing"
        env_file.write_text(f"API_TOKEN={STRONG}\nENVIRONMENT=production\n")
        (problem,) = problems()
        assert problem.startswith("ENVIRONMENT: ")
        assert load_settings(environment="testing").environment == "testing"

    def test_unknown_variables_in_the_env_file_are_allowed(self, env_file):
        env_file.write_text("API_TOKEN=x\nSOMETHING_ELSE=1\n")
        assert load_settings().tokens == {"default": "x"}

    def test_unreadable_env_file_is_one_problem(self, env_file):
        env_file.write_bytes(b"API_TOKEN=\xff\n")
        (problem,) = problems()
        assert ".env" in problem

    def test_empty_variable_counts_as_missing(self, monkeypatch, env_file):
        monkeypatch.setenv("RATE_LIMIT", "")
        monkeypatch.setenv("API_TOKEN", "")
        assert problems() == ["API_TOKEN: required"]
        env_file.write_text("API_TOKEN=x\nRATE_LIMIT=5\n")
        assert load_settings().rate_limit == 5


class TestVariable:
    def test_any_name_in_the_order_of_the_fields(self, monkeypatch, env_file):
        env_file.write_text("API_TOKEN=x\nHF_TOKEN=f\nGROQ_API_KEY=f\nOLLAMA_HOST=f\n")
        monkeypatch.setenv("GROQ_API_KEY", "e")
        monkeypatch.setenv("HF_TOKEN", "e")
        settings = load_settings(HF_TOKEN="argument")
        assert settings.variable("HF_TOKEN") == "argument"
        assert settings.variable("GROQ_API_KEY") == "e"
        assert settings.variable("OLLAMA_HOST") == "f"
        assert settings.variable("MISTRAL_API_KEY") is None

    def test_fields_are_variables_too(self):
        settings = minimal(openai_api_key=SecretStr("k"))
        assert settings.variable("OPENAI_API_KEY") == "k"
        assert settings.variable("OPENAI_MODEL") == "gpt-4"
        assert settings.variable("ANTHROPIC_API_KEY") is None

    def test_empty_is_missing(self, monkeypatch):
        monkeypatch.setenv("GROQ_API_KEY", "")
        assert minimal(mistral_api_key="").variable("MISTRAL_API_KEY") is None
        assert minimal().variable("GROQ_API_KEY") is None


class TestSecretsManager:
    @pytest.fixture(autouse=True)
    def aws(self, monkeypatch):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        with mock_aws():
            yield

    def store(self, name, **content):
        boto3.client("secretsmanager").create_secret(Name=name, **content)

    def test_fills_what_the_environment_leaves_open(self, monkeypatch):
        secret = {
            "API_TOKEN": STRONG,
            "openai_api_key": "from-secret",
            "GROQ_API_KEY": "groq",
            "RATE_LIMIT": 9,
            "OPENAI_MODEL": "",
        }
        self.store("llm-proxy/production", SecretString=json.dumps(secret))
        monkeypatch.setenv("SECRETS_MANAGER_ID", "{service}/{environment}")
        monkeypatch.setenv("ENVIRONMENT", "production")
        monkeypatch.setenv("RATE_LIMIT", "8")
        settings = load_settings()
        assert settings.tokens == {"default": STRONG}
        assert settings.variable("OPENAI_API_KEY") == "from-secret"
        assert settings.variable("GROQ_API_KEY") == "groq"
        assert settings.rate_limit == 8
        assert settings.openai_model == "gpt-4"

    def test_name_follows_the_service(self):
        self.store("mail/staging", SecretString=json.dumps({"API_TOKEN": STRONG}))
        settings = Settings(
            environment="staging",
            service_name="mail",
            secrets_manager_id="{service}/{environment}",
        )
        assert settings.tokens == {"default": STRONG}

    def test_is_not_asked_in_development(self):
        assert load_settings(api_token="x", secrets_manager_id="missing").debug is False

    @pytest.mark.parametrize(
        "content",
        [
            {"SecretString": "sk-not-json"},
            {"SecretString": '["sk-list"]'},
            {"SecretBinary": b"sk-binary"},
            None,
        ],
    )
    def test_unusable_secret_is_one_problem(self, content):
        if content is not None:
            self.store("broken", **content)
        (problem,) = problems(environment="staging", secrets_manager_id="broken")
        assert problem.startswith("SECRETS_MANAGER_ID: ")
        assert "sk-" not in problem

    def test_missing_region_is_one_problem(self, monkeypatch):
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
        (problem,) = problems(environment="staging", secrets_manager_id="x")
        assert "NoRegionError" in problem

    def test_missing_extra_is_one_problem(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "botocore.exceptions", None)
        (problem,) = problems(environment="staging", secrets_manager_id="x")
        assert "llm-proxy[aws]" in problem
