"""Virtual keys in SQLite and in a real Postgres."""

import pytest
from tests.databases import (  # noqa: F401 - fixtures
    connect,
    postgres,
    postgres_url,
)

from llm_proxy.security.audit import Actor
from llm_proxy.security.key_store import KeyStore
from llm_proxy.security.pepper import Pepper
from llm_proxy.storage import Database, upgrade

PEPPER = Pepper(lambda: b"a pepper of a test, with 32 bytes")


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request, tmp_path) -> str:
    if request.param == "postgres":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path}/keys.db"


@pytest.fixture
async def database(database_url, connect) -> Database:  # noqa: F811
    """A database with all tables, as migrations make them."""
    database = await connect(database_url)
    await upgrade(database)
    return database


@pytest.fixture
async def sqlite(tmp_path, connect) -> Database:  # noqa: F811
    """The same, for what does not depend on the kind of database."""
    database = await connect(f"sqlite:///{tmp_path}/keys.db", 5.0)
    await upgrade(database)
    return database


@pytest.fixture
def store(database) -> KeyStore:
    return KeyStore(database, PEPPER)


@pytest.fixture
def actor() -> Actor:
    return Actor("root", "192.0.2.1", "req-1")
