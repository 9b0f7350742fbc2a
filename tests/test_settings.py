import re
from pathlib import Path

import pytest
from dotenv import dotenv_values
from pydantic import SecretStr, ValidationError

from llm_proxy.settings import ConfigurationError, Settings, load_settings

ROOT = Path(__file__).parent.parent
STRONG = "Zq3vT8xW1nB6yK0pL5sD9fG2hJ7mC4rE"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch, tmp_path):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def problems(**overrides):
    with pytest.raises(ConfigurationError) as caught:
        load_settings(**overrides)
    assert caught.value.__context__ is None
    return str(caught.value).splitlines()


def minimal(**fields):
    return Settings(**{"api_token": "test_token", **fields})


def hosted(**fields):
    return Settings(**{"environment": "production", "api_token": STRONG, **fields})


class TestProblems:
    def test_missing_token(self):
        assert problems() == ["API_TOKEN: required"]

    def test_one_line_each_by_variable_and_no_value(self):
        lines = problems(
            environment="nowhere-SECRET",
            port="SECRET",
            openai_base_url="SECRET",
            trusted_proxies="SECRET",
            allowed_origins="SECRET",
            log_level="SECRET",
            api_token="a SECRET",
        )
        assert [line.split(":")[0] for line in lines] == [
            "ENVIRONMENT",
            "PORT",
            "API_TOKEN",
            "TRUSTED_PROXIES",
            "ALLOWED_ORIGINS",
            "OPENAI_BASE_URL",
            "LOG_LEVEL",
        ]
        assert "SECRET" not in "".join(lines)

    def test_direct_construction_hides_values_as_well(self):
        with pytest.raises(ValidationError) as caught:
            minimal(port="SECRET")
        assert "SECRET" not in str(caught.value)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("request_timeout", 0),
            ("request_timeout", -1),
            ("request_deadline", "inf"),
            ("stream_deadline", "nan"),
            ("port", 65536),
            ("rate_limit", 0),
            ("rate_limit_chat", 0),
            ("max_prompt_length", 0),
            ("retry_attempts", 0),
            ("retry_min_seconds", -1),
            ("breaker_failures", -1),
            ("log_backup_count", -1),
            ("retry_max_seconds", 3.9),
        ],
    )
    def test_numbers_out_of_range(self, field, value):
        (problem,) = problems(api_token="x", **{field: value})
        assert problem.startswith(field.upper())

    @pytest.mark.parametrize("field", ["retry_min_seconds", "breaker_failures", "port"])
    def test_zero_that_means_something(self, field):
        assert getattr(minimal(**{field: 0}), field) == 0


class TestHosted:
    @pytest.mark.parametrize("environment", ["staging", "production"])
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("debug", True),
            ("api_token", "abc"),
            ("api_token", "your_secure_random_token"),
            ("api_token", f"good:{STRONG},bad:changeme"),
            ("api_token", "your_secure_random_token_" * 2),
            ("api_token", "test" + STRONG),
            ("api_token", "abcabcabc" * 5),
            ("allowed_origins", "*"),
            ("allowed_origins", "https://a.example.com,*"),
            ("openai_base_url", "http://api.openai.com/v1"),
            ("anthropic_base_url", "http://8.8.8.8"),
        ],
    )
    def test_refuses_what_development_accepts(self, environment, field, value):
        minimal(**{field: value})
        values = {"environment": environment, "api_token": STRONG, field: value}
        (problem,) = problems(**values)
        assert problem.startswith(field.upper())

    def test_placeholder_of_the_example_is_refused(self):
        token = dotenv_values(ROOT / ".env.example")["API_TOKEN"]
        (problem,) = problems(environment="production", api_token=token)
        assert "placeholder" in problem

    @pytest.mark.parametrize("field", ["llm_provider", "llm_fallback_provider"])
    def test_sandbox_is_refused_in_production_alone(self, field):
        (problem,) = problems(
            environment="production", api_token=STRONG, **{field: "Sandbox"}
        )
        assert problem.startswith(field.upper())
        hosted(environment="staging", **{field: "sandbox"})

    @pytest.mark.parametrize(
        "url",
        [
            "https://api.openai.com/v1",
            "http://localhost:11434/v1",
            "http://127.0.0.1:8000",
            "http://[::1]:8000",
            "http://10.0.0.5:8000/v1",
            "http://vllm:8000/v1",
            "http://vllm.prod.svc.cluster.local",
        ],
    )
    def test_private_hosts_may_speak_plain_http(self, url):
        assert hosted(openai_base_url=url).openai_base_url == url


class TestProperties:
    @pytest.mark.parametrize(
        ("environment", "origins"),
        [
            ("development", ("*",)),
            ("testing", ("*",)),
            ("staging", ()),
            ("production", ()),
        ],
    )
    def test_default_origins(self, environment, origins):
        settings = Settings(environment=environment, api_token=STRONG)
        assert settings.cors_origins == origins

    def test_given_origins(self):
        settings = hosted(allowed_origins="https://a.example.com, http://b.test:81")
        assert settings.cors_origins == ("https://a.example.com", "http://b.test:81")

    @pytest.mark.parametrize(
        ("environment", "level", "effective"),
        [
            ("development", "debug", "debug"),
            ("testing", "debug", "info"),
            ("production", "debug", "info"),
            ("production", "warn", "warn"),
        ],
    )
    def test_debug_lines_only_in_development(self, environment, level, effective):
        settings = hosted(environment=environment, log_level=level)
        assert settings.effective_log_level == effective

    @pytest.mark.parametrize(
        ("environment", "chosen", "effective"),
        [
            ("development", None, "text"),
            ("testing", None, "json"),
            ("production", None, "json"),
            ("development", "json", "json"),
        ],
    )
    def test_log_format(self, environment, chosen, effective):
        settings = hosted(environment=environment, log_format=chosen)
        assert settings.effective_log_format == effective

    def test_frozen(self):
        with pytest.raises(ValidationError):
            minimal().port = 1

    def test_secrets_do_not_show(self, monkeypatch):
        monkeypatch.setenv("GROQ_API_KEY", "SECRET")
        settings = minimal(
            api_token="SECRET",
            openai_api_key="SECRET",
            anthropic_api_key="SECRET",
            metrics_token="SECRET",
        )
        shown = f"{settings!r} {settings} {settings.model_dump()}"
        assert "**********" in shown
        assert "SECRET" not in shown


def code_defaults():
    """The default of every variable, as a person would write it."""
    written = {}
    for name, field in Settings.model_fields.items():
        value = field.default
        if field.is_required():
            text = "required"
        elif isinstance(value, bool):
            text = str(value).lower()
        elif isinstance(value, float):
            text = f"{value:g}"
        elif isinstance(value, SecretStr):
            text = value.get_secret_value()
        else:
            text = "none" if value in (None, "") else str(value)
        written[name.upper()] = text
    return written


class TestDocuments:
    def test_every_field_is_described(self):
        assert all(field.description for field in Settings.model_fields.values())

    def test_example_lists_every_field_with_its_default(self):
        text = (ROOT / ".env.example").read_text()
        listed = re.findall(r"^(?:# )?([A-Z][A-Z0-9_]*)=(.*)$", text, re.MULTILINE)
        assert len(listed) == len(dict(listed))
        defaults = {name: value or "none" for name, value in listed}
        assert {**defaults, "API_TOKEN": "required"} == code_defaults()

    def test_example_starts_a_development_service(self, tmp_path):
        (tmp_path / ".env").write_text((ROOT / ".env.example").read_text())
        assert load_settings().environment == "development"

    def test_page_lists_every_field_with_its_default(self):
        text = (ROOT / "docs" / "settings.md").read_text()
        rows = re.findall(r"^\| `([A-Z0-9_]+)` \| (.+?) \| .+ \|$", text, re.MULTILINE)
        listed = {name: value.strip("`") for name, value in rows}
        assert len(rows) == len(listed)
        assert listed == code_defaults()
