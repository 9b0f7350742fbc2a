"""A start that is refused is a sentence and status 1, and not a service."""

import asyncio
import os
import subprocess
import sys
from contextlib import AsyncExitStack

import pytest
from structlog.testing import capture_logs
from tests.conftest import Child
from tests.databases import postgres, postgres_url

from llm_proxy.books import Books
from llm_proxy.settings import ConfigurationError
from llm_proxy.storage import find_status

pytestmark = pytest.mark.integration

__all__ = ["postgres", "postgres_url"]
HOSTED = {
    "API_TOKEN": "as-long-and-mixed-as-production-wants",  # pragma: allowlist secret
    "ENVIRONMENT": "production",
    "KEY_PEPPER": "4fXbkqzQ0sW7vJ2mYtR9uLpE6cHdN1oA",  # pragma: allowlist secret
    "OPENAI_API_KEY": "any",  # pragma: allowlist secret
}


@pytest.fixture
def environment(tmp_path):
    """What a service needs to start, and nothing of the machine's."""
    return {
        "API_TOKEN": "test_token",
        "ENVIRONMENT": "testing",
        "LLM_PROVIDER": "sandbox",
        "PATH": os.environ["PATH"],
        "PORT": "0",
    }


@pytest.fixture
def refuse(environment, tmp_path):
    """Starts a service that must not; what it has said."""

    def refuse(**variables):
        done = subprocess.run(
            [sys.executable, "-m", "llm_proxy", "serve"],
            cwd=tmp_path,
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        heading, sentence = done.stderr.splitlines()
        assert heading == "llm-proxy cannot start:"
        assert "running on" not in done.stdout
        return sentence

    return refuse


def test_one_process_for_one_file(refuse, environment, tmp_path):
    url = f"sqlite:///{tmp_path}/proxy.db"
    with Child(tmp_path / "log", "llm_proxy", "serve", **environment, DATABASE_URL=url):
        sentence = refuse(DATABASE_URL=url)
        assert sentence.startswith("DATABASE_URL: another process uses this database")
        assert "REDIS_URL" in sentence
        with Child(
            tmp_path / "other",
            "llm_proxy",
            "serve",
            **environment,
            DATABASE_URL=url,
            SHARED_LIMITS="process",
        ):
            pass
    # Nobody has it any longer.
    with Child(
        tmp_path / "third", "llm_proxy", "serve", **environment, DATABASE_URL=url
    ):
        pass


def test_who_shares_by_redis_and_who_does_not_use_no_file_together(
    refuse, environment, tmp_path
):
    alone = {"DATABASE_URL": f"sqlite:///{tmp_path}/proxy.db"}
    # Nobody has to be there.
    sharing = alone | {"REDIS_URL": "redis://127.0.0.1:1"}

    def serve(name, variables):
        return Child(tmp_path / name, "llm_proxy", "serve", **environment | variables)

    with serve("alone", alone):
        sentence = refuse(**sharing)
        assert sentence.startswith("DATABASE_URL: another process uses this database")
        assert "its own" in sentence
        with serve("accepted", sharing | {"SHARED_LIMITS": "process"}):
            pass
    with serve("first", sharing) as first, serve("second", sharing):
        first.process.terminate()
        first.process.wait(timeout=30)
        assert "set REDIS_URL" in refuse(**alone)


async def test_postgres_without_redis(refuse, postgres_url):
    sentence = refuse(DATABASE_URL=postgres_url)
    assert sentence.startswith("DATABASE_URL: many processes may use Postgres")


async def test_tables_of_postgres_are_made_by_command(refuse, postgres_url):
    sentence = refuse(
        **HOSTED,
        DATABASE_URL=postgres_url,
        LLM_PROVIDER="openai",
        SHARED_LIMITS="process",
    )
    assert sentence == (
        "DATABASE_URL: the database is empty: run `llm-proxy db upgrade`"
    )


def test_a_file_of_nobodys_is_made_in_production_too(environment, tmp_path):
    variables = environment | HOSTED | {"LLM_PROVIDER": "openai"}
    with Child(tmp_path / "log", "llm_proxy", "serve", **variables) as child:
        assert "test_token" not in child.log
    assert (tmp_path / ".llm-proxy" / "llm-proxy.db").exists()


@pytest.mark.parametrize(
    ("variables", "setting"),
    [
        ({"DATABASE_URL": "mysql://db/name"}, "DATABASE_URL"),
        ({"REDIS_URL": "http://127.0.0.1"}, "REDIS_URL"),
        ({"OIDC_ISSUER": "https://id.example"}, "OIDC_AUDIENCE"),
        ({"KEY_PEPPER": "short"}, "KEY_PEPPER"),
    ],
)
def test_settings_that_make_no_sense(refuse, variables, setting):
    assert setting in refuse(**variables)


@pytest.fixture
async def books_without_a_folder(settings, tmp_path):
    """Books whose database cannot be opened before its folder is there."""
    folder = tmp_path / "folder"
    folder.write_text("a file")

    async def opened(**overrides):
        url = f"sqlite:///{folder}/proxy.db"
        books = Books(settings(database_url=url, **overrides))
        await books.open()
        stack.push_async_callback(books.aclose)
        folder.unlink()
        folder.mkdir()
        return books

    async with AsyncExitStack() as stack:
        yield opened


async def test_tables_are_made_once_the_database_answers(books_without_a_folder):
    books = await books_without_a_folder()

    async with asyncio.timeout(30):
        while (await find_status(books.database)).problem:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_tables_that_only_the_command_makes_are_waited_for(
    books_without_a_folder, monkeypatch
):
    problem = ConfigurationError("run `llm-proxy db upgrade`")
    results = iter([problem, problem, None])

    async def upgrade(_):
        if problem := next(results):
            raise problem

    monkeypatch.setattr("llm_proxy.books._PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("llm_proxy.storage.upgrade", upgrade)
    with capture_logs() as lines:
        await books_without_a_folder()
        async with asyncio.timeout(30):
            while not _details(lines, "database_found"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    assert _details(lines, "database_not_usable") == [str(problem)]


def _details(lines, event):
    return [line.get("detail") for line in lines if line["event"] == event]
