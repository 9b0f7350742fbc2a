"""Sums of the ledger, the same on SQLite and Postgres."""

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from tests.ledger.rows import row

from llm_proxy.errors import InvalidInputError
from llm_proxy.ledger.usage import MOST_ROWS, UsageQuery, UsageRow, columns, usage

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 21)
TOKENS = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
COLUMNS = {"key": "principal", "user": "owner"}


def asking(principal=None, by=(), first=FIRST, last=LAST, **only) -> UsageQuery:
    return UsageQuery(principal, first, last, by, only)


class TestSums:
    async def test_everything_is_added_up(self, database, add):
        tokens = dict(zip(TOKENS, (100, 50, 30, 20, 10), strict=True))
        await add(
            row(cost_nanos=1_250_000_001, **tokens),
            row(cost_nanos=2, **tokens),
        )
        assert await usage(database, asking()) == [
            UsageRow(
                group={},
                calls=2,
                failed_calls=0,
                unpriced_calls=0,
                input_tokens=200,
                output_tokens=100,
                cached_tokens=60,
                cache_write_tokens=40,
                reasoning_tokens=20,
                cost=Decimal("1.250000003"),
            )
        ]

    async def test_money_is_exact_beyond_what_floats_can_count(self, database, add):
        await add(*(row(cost_nanos=2**60 + 1) for _ in range(7)))
        [total] = await usage(database, asking())
        assert total.cost == Decimal(7 * (2**60 + 1)).scaleb(-9)

    @pytest.mark.parametrize(
        ("status", "failed"),
        [("answered", 0), ("failed", 1), ("broken", 1), ("abandoned", 0)],
    )
    async def test_who_hangs_up_has_not_failed(self, database, add, status, failed):
        await add(row(status=status))
        [total] = await usage(database, asking())
        assert (total.calls, total.failed_calls) == (1, failed)

    async def test_calls_without_a_known_price_are_told(self, database, add):
        for source in ("unknown", "none", "provider", "configured", "catalogue"):
            await add(row(cost_source=source))
        [total] = await usage(database, asking())
        assert (total.calls, total.unpriced_calls) == (5, 1)

    async def test_nothing_is_a_row_of_zeros_and_no_groups(self, database):
        [total] = await usage(database, asking())
        assert set(total.cells()) == {0}
        assert await usage(database, asking(by=("model",))) == []

    async def test_days_are_whole_and_utc(self, database, add):
        await add(
            row("2026-10-31 23:59:59.999", feature="before"),
            row("2026-11-01 00:00", feature="first"),
            row("2026-11-21 23:59:59.999", feature="last"),
            row("2026-11-22 00:00", feature="after"),
        )
        found = await usage(database, asking(by=("day", "feature")))
        assert [each.group for each in found] == [
            {"day": "2026-11-01", "feature": "first"},
            {"day": "2026-11-21", "feature": "last"},
        ]


def random_rows(count: int) -> list[dict]:
    chance = random.Random(5)
    return [
        row(
            f"2026-11-{chance.randint(1, 21):02} {chance.randint(0, 23):02}:30",
            principal=chance.choice(["alice", "Bob", "zoë"]),
            model=chance.choice(["gpt-4o", "claude-sonnet-4-5"]),
            provider=chance.choice(["openai", "azure"]),
            project=chance.choice(["", "a", "B"]),
            feature=chance.choice(["", "chat's", "100%"]),
            organisation=chance.choice(["", "acme"]),
            team=chance.choice(["red", "blue"]),
            owner=chance.choice(["ada", "Grace"]),
            user_id=chance.choice(["", "1", "2"]),
            cost_nanos=chance.randint(0, 10**12),
            **{name: chance.randint(0, 10**6) for name in TOKENS},
        )
        for _ in range(count)
    ]


def by_hand(rows: list[dict], by: tuple[str, ...]) -> list[dict]:
    """Adds rows up without a database."""
    groups: dict[tuple[str, ...], list[dict]] = {}
    for each in rows:
        day = datetime.fromtimestamp(each["at_ms"] / 1000, UTC).date().isoformat()
        known = each | {"day": day}
        key = tuple(known[COLUMNS.get(dimension, dimension)] for dimension in by)
        groups.setdefault(key, []).append(each)
    return [
        dict(zip(by, key, strict=True))
        | {"calls": len(members), "failed_calls": 0, "unpriced_calls": 0}
        | {name: sum(each[name] for each in members) for name in TOKENS}
        | {"cost": sum(Decimal(each["cost_nanos"]) for each in members) / 10**9}
        for key, members in sorted(groups.items())
    ]


class TestGroupsAndFilters:
    @pytest.mark.parametrize(
        "by",
        [
            ("key",),
            ("model",),
            ("provider",),
            ("project",),
            ("feature",),
            ("organisation",),
            ("team", "user"),
            ("user_id",),
            ("day",),
            ("day", "model"),
            ("project", "day", "key"),
            ("feature", "key", "model", "provider", "project", "day"),
        ],
        ids=",".join,
    )
    async def test_groups_are_those_that_one_counts_by_hand(self, database, add, by):
        rows = random_rows(300)
        await add(*rows)
        found = await usage(database, asking(by=by))
        cells = [dict(zip(columns(by), each.cells(), strict=True)) for each in found]
        assert cells == by_hand(rows, by)

    @pytest.mark.parametrize(
        ("only", "calls"),
        [
            ({"key": ["bob"]}, 1),
            ({"key": ["alice", "bob"]}, 3),
            ({"model": ["o3"]}, 1),
            ({"provider": ["openai"], "model": ["gpt-4o"]}, 1),
            ({"project": ["x"]}, 1),
            ({"feature": ["it's"]}, 1),
            ({"organisation": ["acme"], "team": ["red"]}, 1),
            ({"user": ["ada"], "user_id": ["7"]}, 1),
            ({"day": ["2026-11-02"]}, 1),
            ({"day": ["2026-11-02", "2026-11-21"]}, 3),
            ({"day": ["2026-10-31"]}, 0),
            ({"key": ["' OR 1=1 --"]}, 0),
        ],
    )
    async def test_filters_leave_out_the_rest(self, database, add, only, calls):
        await add(
            row("2026-10-31 12:00"),
            row("2026-11-02 12:00", provider="azure", project="x"),
            row(model="o3", feature="it's", owner="ada", user_id="7"),
            row(principal="bob", organisation="acme", team="red"),
        )
        [total] = await usage(database, asking(**only))
        assert total.calls == calls

    async def test_who_is_no_operator_sees_their_own_rows(self, database, add):
        await add(row(), row(principal="bob"), row(principal="alice2"))
        assert await calls(database, asking("alice", by=("key",))) == {"alice": 1}
        assert await calls(database, asking("alice", by=("key",), key=["bob"])) == {}
        assert len(await calls(database, asking(by=("key",)))) == 3

    async def test_who_belongs_to_an_organisation_sees_no_other(self, database, add):
        await add(
            row(organisation="acme"),
            row(organisation="acme", principal="bob"),
            row(organisation="acme2"),
            row(),
        )

        def of(mine, **only):
            query = asking(by=("key", "organisation"), **only)
            return replace(query, organisation=mine)

        seen = {"alice/acme": 1, "bob/acme": 1}
        assert await calls(database, of("acme")) == seen
        assert await calls(database, of("acme", organisation=["acme2"])) == {}
        assert await calls(database, of("")) == {"alice/": 1}
        assert len(await calls(database, of(None))) == 4


async def calls(database, query: UsageQuery) -> dict[str, int]:
    rows = await usage(database, query)
    return {"/".join(each.group.values()): each.calls for each in rows}


class TestSize:
    async def test_reports_have_an_end(self, database, add):
        await add(*(row(feature=str(number)) for number in range(MOST_ROWS)))
        assert len(await usage(database, asking(by=("feature",)))) == MOST_ROWS
        await add(row(feature="one more"))
        with pytest.raises(InvalidInputError, match="more than 10000 rows"):
            await usage(database, asking(by=("feature",)))
        [total] = await usage(database, asking())
        assert total.calls == MOST_ROWS + 1

    @pytest.mark.parametrize("database_url", ["file"], indirect=True)
    @pytest.mark.parametrize(
        ("principal", "index"),
        [(None, "ledger_at_ms"), ("alice", "ledger_principal_at_ms")],
    )
    async def test_one_statement_reads_only_the_days_that_count(
        self, database, add, principal, index
    ):
        await add(row())
        asked = []
        sa.event.listen(
            sa.Engine,
            "before_cursor_execute",
            hook := lambda *call: asked.append(call[2:4]),
        )
        try:
            week = LAST - timedelta(days=7)
            await usage(database, asking(principal, ("model", "day"), week))
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", hook)
        # The rest begins and ends the transaction.
        [(statement, parameters)] = [each for each in asked if "ledger" in each[0]]
        async with database.begin() as connection:
            plan = await connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement}", parameters
            )
            steps = [step.detail for step in plan]
        assert any(f"USING INDEX {index} " in step for step in steps), steps
        assert any("at_ms>? AND at_ms<?" in step for step in steps), steps
