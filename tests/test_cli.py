"""The command line: in this process where that is enough, else in a child."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from llm_proxy import __version__
from llm_proxy.cli import main

SECRET = "sk-SECRET"
VALID = {"API_TOKEN": "SECRET-token", "OPENAI_API_KEY": SECRET}


@pytest.fixture
def run(monkeypatch, tmp_path, capsys, restored_logging):
    """Runs the command line with these variables alone; exit code and output."""
    for name in list(os.environ):
        if not name.startswith(("COVERAGE", "PYTEST")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **variables: str) -> tuple[object, str]:
        # Wider than the default, which would fold the tables.
        for name, value in {"COLUMNS": "200", **variables}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        return caught.value.code, capsys.readouterr().out

    return run


class TestCommands:
    @pytest.mark.parametrize("argument", ["version", "--version"])
    def test_version(self, run, argument):
        assert run(argument) == (0, f"{__version__}\n")

    @pytest.mark.parametrize("command", ["serve", "dev", "config", "version"])
    def test_help_names_them(self, run, command):
        code, printed = run("--help")
        assert code == 0
        assert command in printed

    def test_another_one_is_an_error(self, run):
        assert run("nonsense")[0] == 2


def rows_of(printed: str) -> list[tuple[str, ...]]:
    """The rows of all tables; a cell of several lines is as many rows."""
    return [
        tuple(cell.strip() for cell in line.strip("│").split("│"))
        for line in printed.splitlines()
        if line.startswith("│")
    ]


class TestConfigCheck:
    def test_it_prints_what_would_be_served(self, run):
        Path("llm-proxy.yaml").write_text(
            """
            providers:
              mine: {base_url: "http://mine.test/v1"}
            """
        )
        code, printed = run("config", "check", **VALID, GEMINI_API_KEY="k")

        assert code == 0
        assert {
            ("openai", "https://api.openai.com/v1", "gpt-4"),
            ("mine", "http://mine.test/v1", "-"),
            ("local", "this machine", "smollm2-135m-instruct"),
            ("openai", "gpt-4 (default)", "openai/gpt-4"),
        } <= set(rows_of(printed))
        assert printed.endswith("The configuration is valid.\n")
        assert "SECRET" not in printed

    @pytest.mark.parametrize(
        ("model", "asked"),
        [
            ("{deployments: [{model: openai/o3}]}", ["openai/o3"]),
            (
                "{deployments: [{model: openai/o3, weight: 3}, {model: mine/llama}],"
                " fallbacks: [cheap, mine/m]}",
                [
                    "openai/o3 (weight 3), mine/llama (weight 1)",
                    "then openai/gpt-4o-mini",
                    "then mine/m",
                ],
            ),
            (
                "{deployments: [{model: mine/m}], fallbacks: [auto, cheap]}",
                [
                    "mine/m",
                    "then openai/o3",
                    "then mine/llama",
                    "then openai/gpt-4o-mini",
                ],
            ),
            (
                "{complexity: {simple: cheap, fast: mine/llama, complex: openai/o3,"
                " thresholds: [0.25, 0.5]}}",
                [
                    "simple: cheap",
                    "fast, from 0.25: mine/llama",
                    "complex, from 0.5: openai/o3",
                ],
            ),
        ],
    )
    def test_of_an_alias_it_says_who_is_asked(self, run, model, asked):
        Path("llm-proxy.yaml").write_text(
            f"""
            providers:
              mine: {{base_url: "http://mine.test/v1"}}
            models:
              it: {model}
              cheap: {{deployments: [{{model: openai/gpt-4o-mini}}]}}
              auto:
                complexity: {{simple: cheap, fast: mine/llama, complex: openai/o3}}
            """
        )
        _, printed = run("config", "check", **VALID)

        rows = rows_of(printed)
        begin = rows.index(("llm-proxy", "it", asked[0]))
        end = rows.index(("llm-proxy", "cheap", "openai/gpt-4o-mini"))
        assert [row[2] for row in rows[begin:end]] == asked

    @pytest.mark.parametrize(
        ("variables", "rows"),
        [
            (
                {"DATABASE_URL": "sqlite:///data/proxy.db"},
                [
                    ("database", "sqlite:///data/proxy.db"),
                    ("redis", "off"),
                    ("virtual keys", "on"),
                    ("cache", "all: chat, webhook; 3600 s"),
                ],
            ),
            (
                {
                    "DATABASE_URL": "postgres://me:SECRET@db.test:1/x?password=SECRET",
                    "KEY_PEPPER": "SECRET-" * 6,
                    "REDIS_URL": "redis://:SECRET@redis.test:6380/2",
                    "CACHE_POLICY": "off",
                },
                [
                    ("database", "postgres://db.test:1/x"),
                    ("redis", "redis://redis.test:6380/2"),
                    ("virtual keys", "on"),
                    ("cache", "off"),
                ],
            ),
            (
                {"DATABASE_URL": "off"},
                [("database", "off"), ("virtual keys", "off: no database")],
            ),
        ],
        ids=["sqlite", "postgres", "none"],
    )
    def test_it_says_what_is_remembered_where(self, run, variables, rows):
        code, printed = run("config", "check", **VALID | variables)

        assert code == 0
        assert set(rows) <= set(rows_of(printed))
        assert "SECRET" not in printed

    def test_limits_that_bound_nobody_are_warnings(self, run):
        Path("llm-proxy.yaml").write_text(
            """
            models:
              Own: {deployments: [{model: openai/o3}]}
            limits:
              users: {zoe: {}, acme/zoe: {}, acme/red/zoe: {}}
              teams: {acme/red/blue: {}}
              models: {own: {}, openai/o3: {}, GPT-4: {}, nobodys: {}, nobody/m: {}}
            """
        )
        code, printed = run("config", "check", **VALID)

        assert code == 0
        lines = [line for line in printed.splitlines() if line.startswith("Warning: ")]
        places = [line.split(": ")[2] for line in lines]
        assert places == [
            "limits.users.acme/red/zoe",
            "limits.teams.acme/red/blue",
            "limits.models.nobodys",
            "limits.models.nobody/m",
        ]

    def test_nothing_is_cut_in_a_narrow_terminal(self, run):
        url = "https://a-long-host-name.example.com/with/a/long/path/v1"
        _, printed = run("config", "check", **VALID, OPENAI_BASE_URL=url, COLUMNS="50")
        assert "…" not in printed
        cells = [
            line.split("│")[2].strip() for line in printed.splitlines() if "│" in line
        ]
        assert url in "".join(cells)

    def test_it_is_offline(self, run, monkeypatch):
        def refuse(*arguments: object) -> None:
            raise AssertionError(arguments)

        for name in ("connect", "connect_ex", "bind"):
            monkeypatch.setattr(socket.socket, name, refuse)
        code, _ = run("config", "check", **VALID, OLLAMA_BASE_URL="http://127.0.0.1:9")
        assert code == 0

    @pytest.mark.parametrize(
        ("variables", "problems"),
        [
            ({"API_TOKEN": ""}, ["API_TOKEN: required"]),
            ({"PORT": "SECRET"}, ["PORT: Input should be a valid integer"]),
            (
                {"REQUEST_TIMEOUT": "0", "LOG_LEVEL": "SECRET"},
                ["REQUEST_TIMEOUT: Input should be greater", "LOG_LEVEL: Input should"],
            ),
            ({"OPENAI_API_KEY": ""}, ["LLM_PROVIDER: The provider 'openai' is not"]),
            ({"OPENAI_API_KEY": "SECRET\n"}, ["providers: The provider is not conf"]),
            ({"OPENAI_BASE_URL": "SECRET"}, ["OPENAI_BASE_URL: must start with"]),
            ({"OLLAMA_BASE_URL": "SECRET"}, ["providers: The provider is not conf"]),
            ({"LLM_PROVIDER": "opnai"}, ["LLM_PROVIDER: Unknown provider. Did you"]),
            ({"LLM_FALLBACK_PROVIDER": "groq"}, ["LLM_FALLBACK_PROVIDER: The provi"]),
            ({"ENVIRONMENT": "production"}, ["API_TOKEN: item 1 is shorter than 32"]),
            ({"CONFIG_FILE": "missing.yaml"}, ["missing.yaml: No such file"]),
            ({"PROMPT_TEMPLATES_DIR": "missing"}, ["missing: the templates directory"]),
        ],
    )
    def test_every_problem_is_a_line(self, run, variables, problems):
        message, printed = run("config", "check", **VALID | variables)

        headline, *lines = message.splitlines()
        assert headline == "llm-proxy cannot start:"
        for line, problem in zip(lines, problems, strict=True):
            assert line.startswith(problem)
        assert "SECRET" not in message
        assert printed == ""

    @pytest.mark.parametrize(
        ("model", "warnings"),
        [
            (
                "{deployments: [{model: openai/o3}], fallbacks: [openai/o3],"
                " hedge_after: 1}",
                ["no effect without another deployment or a fallback"],
            ),
            (
                "{deployments: [{model: openai/o3}, {model: openai/gpt-4}],"
                " hedge_after: 5, timeouts: {total: 5}}",
                ["no effect, because every call is over after 5 s"],
            ),
            # On `/chat` it has none, on `/v1` it has.
            (
                "{deployments: [{model: openai/o3}], fallbacks: [openai/gpt-4],"
                " hedge_after: 200}",
                [],
            ),
            ("{deployments: [{model: openai/o3}]}", []),
        ],
    )
    def test_a_hedge_that_never_grows_is_a_warning(self, run, model, warnings):
        Path("llm-proxy.yaml").write_text(f"models: {{a: {model}}}")
        code, printed = run("config", "check", **VALID)

        assert code == 0
        lines = [line for line in printed.splitlines() if line.startswith("Warning: ")]
        place = "Warning: llm-proxy.yaml: models.a.hedge_after: "
        assert lines == [f"{place}{each}" for each in warnings]

    @pytest.mark.parametrize(
        ("document", "problem"),
        [
            ("model: {}", "unknown key; did you mean 'models'?"),
            ("models: {a: {deployments: []}}", "must name at least one"),
            ("models: {a: {deployments: [{model: nobody/m}]}}", "Unknown provider"),
            ("providers: {mine: {}}", "MINE_BASE_URL is not set"),
            ("providers: {openai: {api_key: SECRET}}", "keys do not belong in this"),
            ("a: [", "expected"),
        ],
    )
    def test_so_is_a_problem_of_the_file(self, run, document, problem):
        Path("llm-proxy.yaml").write_text(document)
        message, _ = run("config", "check", **VALID)

        headline, line = message.splitlines()
        assert headline == "llm-proxy cannot start:"
        assert problem in line
        assert "SECRET" not in message


def child(*command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess:
    """Runs a command to its end, with these variables alone."""
    kept = {name: os.environ[name] for name in os.environ if name[:8] == "COVERAGE"}
    return subprocess.run(
        [sys.executable, "-m", *command],
        env=kept | variables,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.integration
class TestProcess:
    @pytest.mark.parametrize(
        "command",
        [
            ("llm_proxy",),
            ("llm_proxy", "serve"),
            ("llm_proxy", "config", "check"),
            ("uvicorn", "llm_proxy.main:app", "--port", "0"),
        ],
    )
    def test_a_start_that_fails_is_two_lines_and_a_code(self, tmp_path, command):
        done = child(*command, folder=tmp_path)

        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "llm-proxy cannot start:\nAPI_TOKEN: required\n"
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        "command",
        [
            ("llm_proxy",),
            ("llm_proxy", "serve"),
            ("uvicorn", "llm_proxy.main:app", "--port", "0"),
            ("uvicorn", "--factory", "llm_proxy.main:create_app", "--port", "0"),
        ],
    )
    def test_it_serves_until_it_is_told_to_stop(self, start, command):
        service = start(
            *command,
            API_TOKEN="test_token",
            LLM_PROVIDER="sandbox",
            PORT="0",
            ENVIRONMENT="testing",
        )
        with httpx.Client(base_url=service.url, timeout=30) as caller:
            health = caller.get("/api/v1/health")
            answer = caller.post(
                "/chat",
                headers={"x-api-token": "test_token"},
                json={"provider": "sandbox", "model": "sandbox", "prompt": "Hi"},
            )
        assert health.json()["version"] == __version__
        assert answer.json()["response"] == 'The sandbox read: "Hi"'

        service.process.send_signal(signal.SIGTERM)
        code = service.process.wait(timeout=60)
        # uvicorn's own command line ends by the signal that it has got.
        assert code == (0 if command[0] == "llm_proxy" else -signal.SIGTERM)
        assert '"stopped"' in service.log
        assert "test_token" not in service.log
