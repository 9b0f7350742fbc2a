"""The ledger: what is acknowledged is durable, whatever the database does."""

import asyncio
import sqlite3
from contextlib import suppress

import pytest
from structlog.testing import capture_logs
from tests.ledger.writing import ENTRY, Fickle, entry, until

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.ledger import Ledger, Spool
from llm_proxy.ledger.rows import Rows
from llm_proxy.ledger.segment import encode
from llm_proxy.types import Usage


@pytest.fixture
async def database(database_url):
    database = Fickle(database_url)
    await database.create()
    yield database
    await database.aclose()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


def ledger_of(database, folder, max_bytes=10_000_000, **seconds):
    options = {"pause_seconds": 0.02, **seconds}
    return Ledger(database, Spool(folder, max_bytes), **options)


@pytest.fixture
async def ledger(database, folder):
    ledger = ledger_of(database, folder)
    yield ledger
    database.lets.set()
    await ledger.aclose()


def spooled(folder):
    return list(folder.glob("*.jsonl"))


async def test_a_row_is_there_once_its_future_is_done(ledger, database):
    await ledger.add(ENTRY)

    (row,) = await database.rows()
    assert row._asdict() == {
        "id": ENTRY.id,
        "at_ms": 1_795_000_000_123,
        "request_id": "req-1",
        "attempt": 2,
        "principal": "alice",
        "project": "sheets",
        "organisation": "acme",
        "team": "red",
        "owner": "ada",
        "user_id": "u-1",
        "feature": "chat",
        "asked_model": "smart",
        "provider": "openai",
        "model": "gpt-4o",
        "answered_model": "gpt-4o-2024-08-06",
        "input_tokens": 11,
        "output_tokens": 7,
        "cached_tokens": 5,
        "cache_write_tokens": 3,
        "reasoning_tokens": 2,
        "usage_source": "provider",
        "cost_nanos": 123_456,
        "cost_source": "catalogue",
        "price": '{"input":2.5}',
        "cache": "miss",
        "status": "answered",
        "code": "",
        "seconds": 1.25,
        "first_token_seconds": 0.5,
    }


async def test_what_comes_during_a_commit_is_one_group(ledger, database):
    database.lets.clear()
    first = ledger.add(entry("first"))
    await until(lambda: database.opened == 1)
    rest = [ledger.add(entry(number)) for number in range(1200)]
    await asyncio.sleep(0)
    assert not first.done()
    database.lets.set()
    await asyncio.gather(first, *rest)

    assert database.opened == 1 + 3
    assert len(await database.rows()) == 1201


@pytest.mark.parametrize("apart", [True, False])
async def test_a_row_that_is_written_twice_is_one_row(ledger, database, apart):
    first = ledger.add(ENTRY)
    if apart:
        await first
    await asyncio.gather(first, ledger.add(entry(ENTRY.id, code="OTHER")))

    assert [row.code for row in await database.rows()] == [""]


async def test_a_cancelled_caller_loses_no_row(ledger, database):
    async def call():
        await ledger.add(ENTRY)

    database.lets.clear()
    task = asyncio.create_task(call())
    await until(lambda: database.opened == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    later = ledger.add(entry("later"))
    database.lets.set()
    await later

    assert await database.ids() == [ENTRY.id, "later"]


async def test_an_outage_loses_nothing(ledger, database, folder):
    await ledger.add(entry("before"))
    database.is_down = True
    with capture_logs() as lines:
        for number in range(5):
            await ledger.add(entry(f"during-{number}"))
        assert len(spooled(folder)) == 1
        assert await database.ids() == ["before"]
        database.is_down = False
        await until(lambda: len(lines) == 2)
    await ledger.add(entry("z-after"))
    assert not spooled(folder)

    during = [f"during-{number}" for number in range(5)]
    assert await database.ids() == ["before", *during, "z-after"]
    assert [line["event"] for line in lines] == ["ledger_spooling", "ledger_replayed"]
    assert (lines[0]["reason"], lines[0]["detail"]) == (
        "StorageUnavailableError",
        "taken away",
    )
    assert lines[1]["rows"] == 5


async def test_rows_do_not_wait_for_a_database_that_is_known_to_be_away(
    database, folder
):
    ledger = ledger_of(database, folder, pause_seconds=60)
    database.is_down = True
    for number in range(5):
        await ledger.add(entry(number))
    assert database.opened == 1
    await ledger.aclose()


async def test_a_database_that_hangs_is_away(database, folder):
    ledger = ledger_of(database, folder, write_seconds=0.05)
    database.lets.clear()
    await ledger.add(ENTRY)
    assert spooled(folder)
    database.lets.set()
    await until(lambda: not spooled(folder))
    assert await database.ids() == [ENTRY.id]
    await ledger.aclose()


async def test_rows_wait_no_longer_because_others_have_waited(database, folder):
    ledger = ledger_of(database, folder, write_seconds=0.3, pause_seconds=60)
    database.delay_seconds = 0.2
    first = ledger.add(entry("first"))
    await until(lambda: database.opened == 1)
    await asyncio.gather(first, ledger.add(entry("second")))
    # Its group begins too late to be in time.
    assert spooled(folder)
    await ledger.aclose()


async def test_a_slow_database_is_given_fewer_rows_at_a_time(database, folder):
    database.is_down = True
    ledger = ledger_of(database, folder, pause_seconds=60)
    await asyncio.gather(*(ledger.add(entry(number)) for number in range(600)))
    await ledger.aclose()

    database.is_down = False
    database.most_rows = 10
    ledger = ledger_of(database, folder, pause_seconds=0.001)
    await ledger.open()
    await until(lambda: not spooled(folder))
    assert len(await database.rows()) == 600
    await ledger.aclose()


async def test_a_slow_database_empties_a_full_spool(database, folder):
    ledger = ledger_of(database, folder, max_bytes=30_000, pause_seconds=0.001)
    database.is_down = True
    for number in range(100):
        with suppress(StorageUnavailableError):
            await ledger.add(entry(number))
    assert ledger.is_full
    database.most_rows = 3
    database.is_down = False
    await until(lambda: not (ledger.is_full or spooled(folder)))
    assert len(await database.rows()) == 100
    await ledger.aclose()


async def test_a_locked_file_is_an_outage(tmp_path, folder):
    database = Fickle(f"sqlite:///{tmp_path}/ledger.db")
    await database.create()
    ledger = ledger_of(database, folder, write_seconds=0.1)
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    await asyncio.gather(*(ledger.add(entry(number)) for number in range(3)))
    assert spooled(folder)
    other.execute("ROLLBACK")
    other.close()
    await until(lambda: not spooled(folder))

    assert await database.ids() == ["0", "1", "2"]
    await ledger.aclose()
    await database.aclose()


async def test_a_table_that_is_missing_costs_no_row(database_url, folder):
    database = Fickle(database_url)
    await database.open()
    ledger = ledger_of(database, folder)
    with capture_logs() as lines:
        await ledger.add(ENTRY)
        await until(lambda: any("replay_failed" in line["event"] for line in lines))
    # A service that is started again does not wait for the next try.
    await ledger.aclose()
    await database.create()
    ledger = ledger_of(database, folder)
    await ledger.open()
    await until(lambda: not spooled(folder))

    assert await database.ids() == [ENTRY.id]
    await ledger.aclose()
    await database.aclose()


async def test_outages_under_load_lose_nothing(ledger, database, folder):
    async def caller(name):
        for number in range(60):
            await ledger.add(entry(f"{name}-{number:02}"))

    async def trouble():
        while True:
            database.is_down = not database.is_down
            await asyncio.sleep(0.015)

    flapping = asyncio.create_task(trouble())
    await asyncio.gather(*(caller(name) for name in range(10, 40)))
    flapping.cancel()
    database.is_down = False
    await until(lambda: not spooled(folder))

    expected = [f"{name}-{number:02}" for name in range(10, 40) for number in range(60)]
    assert await database.ids() == expected


async def test_a_full_spool_says_so_and_recovers_by_itself(database, folder):
    ledger = ledger_of(database, folder, max_bytes=1200)
    database.is_down = True
    await ledger.add(entry("fits"))
    assert not ledger.is_full
    await ledger.add(entry("fits too"))
    with capture_logs() as lines, pytest.raises(StorageUnavailableError) as caught:
        await ledger.add(entry("does not fit"))
    assert caught.value.log_detail == "the ledger's spool is full"
    assert ledger.is_full
    assert [line["event"] for line in lines] == ["ledger_full"]

    database.is_down = False
    await until(lambda: not ledger.is_full)
    await until(lambda: not spooled(folder))
    await ledger.add(entry("later"))
    # Its caller was refused, and it has to be paid all the same.
    assert await database.ids() == ["does not fit", "fits", "fits too", "later"]
    await ledger.aclose()


async def test_a_spool_that_never_took_a_row_recovers_as_well(database, folder):
    ledger = ledger_of(database, folder, max_bytes=10)
    database.is_down = True
    with pytest.raises(StorageUnavailableError):
        await ledger.add(ENTRY)
    assert ledger.is_full
    database.is_down = False
    await until(lambda: not ledger.is_full)
    await ledger.aclose()


async def test_a_full_database_is_not_taken_for_one_that_is_back(database, folder):
    ledger = ledger_of(database, folder, max_bytes=10, pause_seconds=0.001)
    database.is_full = True
    with pytest.raises(StorageUnavailableError):
        await ledger.add(ENTRY)
    tried = database.opened
    await until(lambda: database.opened > tried + 6 or not ledger.is_full)
    assert ledger.is_full
    database.is_full = False
    await until(lambda: not ledger.is_full)
    assert await database.ids() == [ENTRY.id]
    await ledger.aclose()


async def test_rows_without_a_place_go_to_a_disk_that_has_room_again(
    database, folder, monkeypatch
):
    def fail(spool, rows):
        raise StorageUnavailableError(log_detail="no space left on device")

    ledger = ledger_of(database, folder)
    database.is_down = True
    with monkeypatch.context() as patch:
        patch.setattr(Spool, "append", fail)
        refused = [ledger.add(entry(number)) for number in range(3)]
        await asyncio.gather(*refused, return_exceptions=True)
        assert ledger.is_full
    await until(lambda: not ledger.is_full)
    await ledger.add(entry("later"))
    await ledger.aclose()
    assert await database.ids() == []

    database.is_down = False
    ledger = ledger_of(database, folder)
    await ledger.open()
    await until(lambda: not spooled(folder))
    assert await database.ids() == ["0", "1", "2", "later"]
    await ledger.aclose()


@pytest.mark.parametrize("is_back", [True, False])
async def test_closing_tells_of_rows_that_have_found_no_place(
    database, folder, is_back
):
    ledger = ledger_of(database, folder, max_bytes=10, pause_seconds=60)
    database.is_down = True
    refused = [ledger.add(entry(number)) for number in range(3)]
    await asyncio.gather(*refused, return_exceptions=True)
    database.is_down = not is_back
    with capture_logs() as lines:
        await ledger.aclose()

    lost = [line["rows"] for line in lines if line["event"] == "ledger_rows_lost"]
    assert (len(await database.rows()), lost) == ((3, []) if is_back else (0, [3]))


async def test_rows_that_wait_are_bounded(ledger, database):
    database.lets.clear()
    first = [ledger.add(entry(number)) for number in range(20_000)]
    assert ledger.is_full
    with pytest.raises(StorageUnavailableError):
        await ledger.add(entry("too many"))
    database.lets.set()
    await asyncio.gather(*first)
    assert not ledger.is_full
    assert len(await database.rows()) == 20_000


async def test_the_next_process_replays_what_is_left(database, folder):
    database.is_down = True
    earlier = ledger_of(database, folder, pause_seconds=60)
    await earlier.add(ENTRY)
    await earlier.aclose()
    assert spooled(folder)

    database.is_down = False
    ledger = ledger_of(database, folder, pause_seconds=60)
    await ledger.open()
    await until(lambda: not spooled(folder))
    assert await database.ids() == [ENTRY.id]
    await ledger.aclose()
    assert list(folder.iterdir()) == []


async def test_rows_of_an_earlier_version_are_replayed(database, folder):
    (record,) = Rows().records([Rows().row(ENTRY)])
    added = ("organisation", "team", "owner", "user_id", "price", "cache")
    folder.mkdir()
    earlier = {name: value for name, value in record.items() if name not in added}
    (folder / "ledger-1-dead.jsonl").write_bytes(encode([earlier]))

    ledger = ledger_of(database, folder)
    await ledger.open()
    await until(lambda: not spooled(folder))

    (row,) = await database.rows()
    assert row._asdict() == record | dict.fromkeys(added, "")
    await ledger.aclose()


async def test_closing_writes_what_waits(database, folder):
    ledger = ledger_of(database, folder)
    futures = [ledger.add(entry(number)) for number in range(700)]
    await ledger.aclose()
    await ledger.aclose()

    assert all(future.done() and not future.exception() for future in futures)
    assert len(await database.rows()) == 700
    with pytest.raises(StorageUnavailableError):
        await ledger.add(ENTRY)


async def test_closing_does_not_wait_for_a_database_that_hangs(database, folder):
    ledger = ledger_of(database, folder, write_seconds=0.2)
    database.lets.clear()
    futures = [ledger.add(entry(number)) for number in range(1700)]
    await asyncio.wait_for(ledger.aclose(), 10)
    assert all(future.done() and not future.exception() for future in futures)
    assert database.opened == 1

    database.lets.set()
    later = ledger_of(database, folder)
    await later.open()
    await until(lambda: not spooled(folder))
    assert len(await database.rows()) == 1700
    await later.aclose()


async def test_closing_does_not_wait_for_one_slow_group_after_another(database, folder):
    ledger = ledger_of(database, folder, write_seconds=0.2)
    database.delay_seconds = 0.15
    futures = [ledger.add(entry(number)) for number in range(1700)]
    await ledger.aclose()

    assert all(future.done() and not future.exception() for future in futures)
    assert spooled(folder)


@pytest.mark.parametrize("is_down", [False, True])
async def test_what_no_database_can_hold_is_made_fit(ledger, database, folder, is_down):
    database.is_down = is_down
    await ledger.add(
        entry(
            "odd",
            asked_model="\ud800é" + "m" * 600,
            project="a\0b",
            answered_model=None,
            usage=Usage(10**30, -(10**30)),
        )
    )
    database.is_down = False
    await until(lambda: not spooled(folder))

    (row,) = await database.rows()
    assert row.asked_model == "?é" + "m" * 510
    assert (row.project, row.answered_model) == ("a\N{REPLACEMENT CHARACTER}b", None)
    assert (row.input_tokens, row.output_tokens) == (2**63 - 1, 1 - 2**63)


@pytest.mark.parametrize("length", [64, 65, 255, 256])
async def test_texts_are_cut_where_their_column_ends(ledger, database, length):
    text = "p" * length
    await ledger.add(entry("long", principal=text, feature=text, answered_model=text))

    (row,) = await database.rows()
    assert (row.principal, row.feature) == (text[:255], text[:64])
    assert row.answered_model == text


async def test_a_row_that_is_refused_does_not_hold_up_the_others(
    ledger, database, folder
):
    good = [ledger.add(entry(number)) for number in range(3)]
    await asyncio.gather(*good, ledger.add(entry("bad", seconds=None)))
    with capture_logs() as lines:
        await until(lambda: list(folder.glob("*.refused")) != [])
        await until(lambda: any(line["event"] == "ledger_replayed" for line in lines))
    await ledger.add(entry("later"))

    assert await database.ids() == ["0", "1", "2", "later"]
    (kept,) = folder.iterdir()
    assert b'"bad"' in kept.read_bytes()
    (refused,) = [line for line in lines if line["event"] == "ledger_rows_refused"]
    assert refused["rows"] == 1


async def test_a_folder_that_cannot_be_used_is_told_at_the_start(database, tmp_path):
    (tmp_path / "file").write_text("")
    ledger = ledger_of(database, tmp_path / "file")
    with pytest.raises(StorageUnavailableError) as caught:
        await ledger.open()
    assert "spool cannot be used" in caught.value.log_detail
    await ledger.aclose()
