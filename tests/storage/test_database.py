"""What is true of every database."""

import asyncio

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from llm_proxy.errors import StorageUnavailableError

numbers = sa.Table(
    "numbers", sa.MetaData(), sa.Column("number", sa.Integer, primary_key=True)
)


@pytest.fixture
async def database(database_url, connect):
    database = await connect(database_url)
    async with database.begin() as connection:
        await connection.run_sync(numbers.create)
    return database


async def add(database, number):
    async with database.begin() as connection:
        await connection.execute(numbers.insert().values(number=number))


async def stored(database):
    async with database.read() as connection:
        return sorted(await connection.scalars(sa.select(numbers.c.number)))


async def test_what_is_written_is_there(database):
    await add(database, 1)

    assert await stored(database) == [1]


async def test_transaction_that_fails_leaves_nothing(database):
    async def fail():
        async with database.begin() as connection:
            await connection.execute(numbers.insert().values(number=1))
            raise LookupError

    with pytest.raises(LookupError):
        await fail()

    assert await stored(database) == []


async def test_tables_of_a_transaction_that_fails_are_gone(database):
    other = sa.Table("other", sa.MetaData(), sa.Column("number", sa.Integer))

    async def fail():
        async with database.begin() as connection:
            await connection.run_sync(other.create)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()

    async with database.read() as connection:
        assert not await connection.run_sync(
            lambda sync: sa.inspect(sync).has_table("other")
        )


async def test_broken_constraints_are_not_hidden(database):
    await add(database, 1)

    with pytest.raises(IntegrityError):
        await add(database, 1)

    await add(database, 2)
    assert await stored(database) == [1, 2]


@pytest.mark.parametrize("statement", ["SELECT FROM WHERE", "SELECT * FROM nowhere"])
async def test_wrong_sql_is_not_hidden(database, statement):
    with pytest.raises(DBAPIError):
        async with database.begin() as connection:
            await connection.exec_driver_sql(statement)


async def test_time_outs_of_others_are_not_hidden(database):
    with pytest.raises(TimeoutError):
        async with database.begin(), asyncio.timeout(0.01):
            await asyncio.Event().wait()


async def test_many_write_at_the_same_time(database):
    await asyncio.gather(*(add(database, number) for number in range(40)))

    assert await stored(database) == list(range(40))


async def test_callers_who_are_cancelled_harm_nobody(database):
    await add(database, 0)
    callers = [asyncio.create_task(add(database, number)) for number in range(1, 40)]
    # Some wait for their turn by then, and one is in the middle of it.
    await asyncio.sleep(0.01)
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)

    await add(database, 100)

    assert {0, 100} <= set(await stored(database))


async def test_transaction_takes_no_longer_than_it_may(database_url, connect):
    database = await connect(database_url, timeout_seconds=1)

    with pytest.raises(StorageUnavailableError) as caught:
        async with database.begin():
            await asyncio.sleep(60)

    assert caught.value.log_detail == "not done in 1 s"
    assert caught.value.retry_after_seconds == 1
    async with database.begin() as connection:
        assert await connection.scalar(sa.select(1)) == 1


async def test_parameters_stay_out_of_errors(database):
    with pytest.raises(DBAPIError) as caught:
        async with database.begin() as connection:
            await connection.execute(
                sa.text("SELECT :name FROM nowhere"), {"name": "secret-name"}
            )

    assert "secret-name" not in str(caught.value)
