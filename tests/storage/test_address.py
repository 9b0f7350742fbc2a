import re

import pytest

from llm_proxy.settings import ConfigurationError
from llm_proxy.storage import Database


@pytest.mark.parametrize(
    ("url", "is_sqlite"),
    [
        ("sqlite://", True),
        ("sqlite:///:memory:", True),
        ("sqlite:///folder/ledger.sqlite3", True),
        ("sqlite+aiosqlite:////folder/ledger.sqlite3", True),
        ("postgres://user:pass@host/name", False),
        ("postgresql://user:pass@host:5432/name?sslmode=require", False),
        ("postgresql+asyncpg://user:pass@host/name", False),
        ("postgresql://user:pass@one:5432,two:5433/name", False),
        ("POSTGRES://user:pass@host/name", False),
    ],
)
async def test_addresses_of_databases(url, is_sqlite):
    database = Database(url)

    assert database.is_sqlite is is_sqlite
    assert "pass" not in repr(database)
    await database.aclose()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "secret",
        "secret.sqlite3",
        "mysql://user:secret@host/name",
        "postgresql+psycopg://user:secret@host/name",
        "sqlite://secret/name",
        "sqlite:///name?secret=1",
        "postgres://user:[secret@host/name",
        "postgres://user:pass@host/name?secret",
    ],
)
def test_other_addresses_are_refused_without_repeating_them(url):
    with pytest.raises(ConfigurationError, match=r"^DATABASE_URL: ") as caught:
        Database(url)

    assert not re.search("secret", str(caught.value))
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    "url",
    [
        "postgres://user:secret#1@host/name",
        "postgres://user:secret/1@host/name",
        "postgres://user:secret@host:port/name",
        "postgres://user:secret@host/name?sslmode=sometimes",
    ],
)
async def test_what_the_driver_cannot_read_is_refused_as_well(url):
    database = Database(url)

    with pytest.raises(ConfigurationError, match=r"^DATABASE_URL: ") as caught:
        await database.open()

    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__
