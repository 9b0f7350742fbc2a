"""``llm-proxy db`` and ``llm-proxy usage``."""

import asyncio

import pytest
from tests.ledger.rows import row

from llm_proxy.cli import main
from llm_proxy.storage import Database, ledger

INVOICE = "date,model,cost\n2026-11-02,gpt-4o,3.00\n"


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Runs a command; gives its exit status and what it has printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENVIRONMENT", "testing")
    monkeypatch.setenv("API_TOKEN", "test_token")
    monkeypatch.setenv("DATABASE_URL", "sqlite:///ledger.db")

    def run(*arguments: str) -> tuple[object, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return ended.value.code, capsys.readouterr().out

    return run


@pytest.fixture
def filled(run):
    """Makes the tables, and two rows."""
    assert run("db", "upgrade")[0] == 0

    async def fill() -> None:
        database = Database("sqlite:///ledger.db")
        await database.open()
        rows = [
            row("2026-11-02 12:00", model="gpt-4o", cost_nanos=1_500_000_000),
            row("2026-11-03 12:00", model="o3", cost_nanos=250_000_000),
        ]
        async with database.begin() as connection:
            await connection.execute(ledger.insert(), rows)
        await database.aclose()

    asyncio.run(fill())


def test_tables_are_made_once(run):
    assert run("db", "status") == (
        1,
        "DATABASE_URL: the database is empty: run `llm-proxy db upgrade`\n",
    )
    assert run("db", "upgrade") == (0, "The database is upgraded: empty -> 0002\n")
    assert run("db", "upgrade") == (0, "The database is up to date.\n")
    assert run("db", "status") == (0, "The database is up to date.\n")


@pytest.mark.usefixtures("filled")
class TestUsage:
    SPAN = ("--from", "2026-11-01", "--to", "2026-11-30")

    def test_sums_are_shown(self, run):
        status, text = run("usage", *self.SPAN)
        assert status == 0
        assert "gpt-4o" in text
        assert "1.5" in text

    def test_or_written_for_spreadsheets(self, run):
        _, text = run("usage", "--by", "day,model", *self.SPAN, "--csv")
        header, first, second = text.splitlines()
        assert header.startswith("day,model,calls")
        assert first.startswith("2026-11-02,gpt-4o,1,")
        assert second.endswith(",0.250000000")

    def test_invoices_are_compared(self, run, tmp_path):
        (tmp_path / "invoice.csv").write_text(INVOICE)
        status, text = run("usage", "drift", "invoice.csv", "--csv")
        assert status == 0
        assert text.splitlines()[1].split(",")[:2] == ["2026-11-02", "gpt-4o"]
        assert "-1.5" in text


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("usage", "--by", "weather"), "--by weather: one of key, "),
        (("usage", "--from", "today"), "'today' is no day such as 2026-11-21"),
        (
            ("usage", "--from", "2026-11-02", "--to", "2026-11-01"),
            "--from 2026-11-02: must not be after --to 2026-11-01",
        ),
        (("usage", "drift", "none.csv"), "none.csv: No such file"),
    ],
)
def test_mistakes_are_told_in_a_sentence(run, arguments, problem):
    assert str(run(*arguments)[0]).startswith(f"llm-proxy: {problem}")


@pytest.mark.parametrize("arguments", [("usage",), ("usage", "drift")])
def test_help_is_for_people(run, arguments):
    status, text = run(*arguments, "--help")
    assert status == 0
    assert "Args:" not in text


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("off", "DATABASE_URL: this command needs a database"),
        ("sqlite:////proc/no/such.db", "DATABASE_URL: "),
    ],
)
def test_there_must_be_a_database(run, monkeypatch, url, problem):
    monkeypatch.setenv("DATABASE_URL", url)
    assert problem in str(run("db", "status")[0])
