"""What budgets begin with: the ledger's sums, and what was lost."""

import pytest
from tests.ledger.rows import moment, row
from tests.ledger.writing import entry

from llm_proxy.ledger import Cost, Ledger, Reservations, Spool, spent
from llm_proxy.storage.tables import reservations
from llm_proxy.types import Principal, Subject

ALICE = Subject("key", "alice")


@pytest.fixture
def lose(database):
    """Adds rows of reservations that nobody has settled."""

    async def lose(nanos: int, at: str = "2026-11-21 12:00", **fields: object) -> None:
        values = {
            "id": f"lost-{nanos}",
            "process": "dead",
            "at_ms": moment(at),
            "expires_ms": 0,
            "state": "lost",
            "principal": "alice",
            "organisation": "",
            "team": "",
            "owner": "",
            "asked_model": "gpt-4o",
            "nanos": nanos,
        }
        async with database.begin() as connection:
            await connection.execute(reservations.insert(), values | fields)

    return lose


async def test_nothing_is_spent_of_nothing(database):
    assert await spent(database, ALICE, "total") == 0


async def test_the_ledger_and_what_is_lost_are_added_up(database, add, lose):
    await add(row(cost_nanos=2**53 + 1), row(cost_nanos=5), row(principal="bob"))
    await lose(300)
    # Of a process that has died, and of one that lives.
    await lose(7000, state="open")
    await lose(80_000, state="open", expires_ms=2**52)
    await lose(900_000, principal="bob")

    assert await spent(database, ALICE, "total") == 2**53 + 7306


@pytest.mark.parametrize(
    ("period", "nanos"),
    [
        ("2026-11-21", 0b0000110),
        ("2026-11", 0b0011111),
        ("2026-12-01", 0b0100000),
        ("2026-12", 0b0100000),
        ("2027-02", 0b1000000),
        ("total", 0b1111111),
    ],
)
@pytest.mark.parametrize("is_lost", [True, False])
async def test_periods_are_days_and_months_of_utc(
    database, add, lose, is_lost, period, nanos
):
    moments = [
        "2026-11-20 23:59:59.999",
        "2026-11-21 00:00",
        "2026-11-21 23:59:59.999",
        "2026-11-01 00:00",
        "2026-11-30 23:59:59.999",
        "2026-12-01 00:00",
        "2027-02-28 23:59:59.999",
    ]
    for number, at in enumerate(moments):
        cost = 1 << number
        await (lose(cost, at) if is_lost else add(row(at, cost_nanos=cost)))

    assert await spent(database, ALICE, period) == nanos


@pytest.mark.parametrize(
    ("subject", "nanos"),
    [
        (Subject("key", "k1"), 0b0001),
        (Subject("user", "ada", "acme"), 0b0011),
        (Subject("user", "ada"), 0b1000),
        (Subject("team", "red", "acme"), 0b0101),
        (Subject("team", "red", "other"), 0),
        (Subject("organisation", "acme"), 0b0111),
        (Subject("organisation", "nobody"), 0),
        (Subject("model", "smart"), 0b0010),
        (Subject("model", "GPT-4o"), 0b1101),
    ],
)
@pytest.mark.parametrize("is_lost", [True, False])
async def test_everybody_has_their_own(database, add, lose, is_lost, subject, nanos):
    owners = [
        ("k1", "acme", "red", "ada", "gpt-4o"),
        ("k2", "acme", "blue", "ada", "smart"),
        ("k3", "acme", "red", "bob", "gpt-4o"),
        ("k4", "", "red", "ada", "Gpt-4o"),
    ]
    names = "principal", "organisation", "team", "owner", "asked_model"
    for number, values in enumerate(owners):
        fields = dict(zip(names, values, strict=True))
        cost = 1 << number
        await (lose(cost, **fields) if is_lost else add(row(cost_nanos=cost, **fields)))

    assert await spent(database, subject, "2026-11-21") == nanos


async def test_a_model_is_also_found_by_who_has_answered(database, add):
    await add(
        row(cost_nanos=1, asked_model="smart", provider="openai", model="gpt-4o"),
        row(cost_nanos=2, asked_model="openai/gpt-4o", provider="azure", model="x"),
        row(cost_nanos=4, asked_model="smart", provider="azure", model="gpt-4o"),
    )

    assert await spent(database, Subject("model", "OpenAI/gpt-4o"), "total") == 3


@pytest.mark.parametrize(
    "name",
    ["a" * 300, "\ud800 alone", "nul \0 nul", "é" * 300, "it's; --", "%", "Ünï\0" * 99],
)
async def test_names_are_found_as_they_are_written(database, tmp_path, name):
    ledger = Ledger(database, Spool(tmp_path / "spool"))
    owners = {"organisation": name, "team": name, "owner": name}
    cost = Cost(5, "catalogue")
    call = entry("a", principal=name, asked_model=name * 2, cost=cost, **owners)
    await ledger.add(call)
    await ledger.aclose()
    dead = Reservations(database, "dead", write_seconds=0)
    await dead.open(alone=True)
    caller = Principal(name, organisation=name, team=name, user=name)
    dead.hold("r", caller, name * 2, 100)
    await dead.aclose()
    await Reservations(database, "alive").recover(alone=True)

    subjects = [
        Subject("key", name),
        Subject("user", name, name),
        Subject("team", name, name),
        Subject("organisation", name),
        Subject("model", name * 2),
    ]
    sums = [await spent(database, subject, "total") for subject in subjects]
    assert sums == [105] * 5
