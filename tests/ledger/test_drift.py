"""What the ledger says and what an invoice says."""

from contextlib import suppress
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.ledger.rows import row

from llm_proxy.ledger.drift import DriftRow, drift
from llm_proxy.ledger.invoice import InvoiceError, InvoiceLine, read_invoice

DAY = date(2026, 11, 21)
ANTHROPIC = (
    "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,"
    "cost_usd,list_price_usd,cost_type\n"
    "2026-11-20,Claude Haiku 4.5,Default,a-key,message,≤ 200k,output,0.02,0.03,token\n"
    "2026-11-21,,Default,a-key,,,,0.01,0.01,web_search\n"
)
OPENAI = (
    "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,"
    "line_item,project_id\n"
    "1795046400,1795132800,2026-11-20T00:00:00+00:00,2026-11-21T00:00:00+00:00,,,,\n"
    "1795132800,1795219200,2026-11-21T00:00:00,2026-11-22T00:00:00,"
    '0.0038000000000000000000,usd,"gpt-4o-2024-08-06, cached input",proj\n'
)


def read(text: str) -> list[InvoiceLine]:
    return read_invoice(text.splitlines(keepends=True))


class TestInvoices:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("day,model,cost\n2026-11-21,m,1.50\n", [(DAY, "m", "1.50")]),
            ("date,model,cost\r\n2026-11-21,m,0\r\n", [(DAY, "m", "0")]),
            ("\ufeffCost, Model ,DAY\n-2,m,2026-11-21\n", [(DAY, "m", "-2")]),
            ("day,model,cost,currency\n2026-11-21,m,1,USD\n", [(DAY, "m", "1")]),
            ("day,model,cost\n\n2026-11-21,m,1e-7\n", [(DAY, "m", "1e-7")]),
            ("day,model,cost\n2026-11-21T23:59:59Z,m,1\n", [(DAY, "m", "1")]),
            ('day,model,cost\n2026-11-21,"a,b",1\n', [(DAY, "a,b", "1")]),
            ("day,model,cost\n", []),
            (
                ANTHROPIC,
                [(date(2026, 11, 20), "Claude Haiku 4.5", "0.02"), (DAY, "", "0.01")],
            ),
            (OPENAI, [(DAY, "gpt-4o-2024-08-06", "0.0038")]),
        ],
    )
    def test_known_forms_are_read(self, text, expected):
        assert read(text) == [
            InvoiceLine(day, model, Decimal(cost)) for day, model, cost in expected
        ]

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("", "line 1: there is no column day or date or"),
            ("day;model;cost\n", "line 1: there is no column"),
            ("day,model\n", "line 1: there is no column cost or"),
            ("day,day,model,cost\n", "line 1: there are two columns 'day'"),
            ("day,model,cost\n2026-11-21,m\n", "line 2: has 2 cells, the header has 3"),
            (
                "day,model,cost\n2026-11-21,m,1,234.50\n",
                "line 2: has 4 cells, the header has 3",
            ),
            ("day,model,cost\n2026-11-21,m,\n", "line 2: '' is no amount"),
            ("day,model,cost\n2026-11-21,m,$1\n", "line 2: '$1' is no amount"),
            ("day,model,cost\n2026-11-21,m,NaN\n", "line 2: 'NaN' is no amount"),
            ("day,model,cost\n2026-11-21,m,1e9\n", "line 2: '1e9' is no amount"),
            ("day,model,cost\n2026-11-21,m,1_0\n", "line 2: '1_0' is no amount"),
            ("day,model,cost\n2026-11-21,m,1\nNov,m,1\n", "line 3: 'Nov' is no day"),
            ("day,model,cost\n2026-02-30,m,1\n", "line 2: there is no day 2026-02-30"),
            (
                "day,model,cost\n2026-11-21T00:00:00+01:00,m,1\n",
                "line 2: '2026-11-21T00:00:00+01:00' is no day",
            ),
            ('day,model,cost\n"a\nb",m,1\n', r"line 3: 'a\nb' is no day"),
            (
                "day,model,cost,currency\n2026-11-21,m,1,eur\n",
                "line 2: the currency is 'eur', not USD",
            ),
            ('day,model,cost\n2026-11-21,"m,1\n', "line 2: unexpected end of data"),
            ("day,model,cost\n2026-11-21,,1\n", "no line names a model"),
        ],
    )
    def test_others_are_refused_with_their_line(self, text, problem):
        with pytest.raises(InvoiceError) as caught:
            read(text)
        assert str(caught.value).startswith(problem)

    def test_files_that_are_no_text_are_refused(self, tmp_path):
        path = tmp_path / "invoice.csv"
        path.write_bytes(b"day,model,cost\n2026-11-21,\xff,1\n")
        with (
            path.open(encoding="utf-8", newline="") as lines,
            pytest.raises(InvoiceError, match="utf-8"),
        ):
            read_invoice(lines)

    @given(st.text(st.sampled_from('day,model,cost\n2026-11-21,m,1.5\n"\r;\0é')))
    @example("\0")
    def test_whatever_it_is_there_is_an_answer(self, text):
        with suppress(InvoiceError):
            read(text)
        with suppress(InvoiceError):
            read(f"day,model,cost\n{text}")


def line(model: str, cost: str, day: date = DAY) -> InvoiceLine:
    return InvoiceLine(day, model, Decimal(cost))


def dollars(amount: str) -> int:
    return int(Decimal(amount).scaleb(9))


class TestDrift:
    async def test_each_model_and_day_is_compared(self, database, add):
        await add(
            row("2026-11-20 00:00", cost_nanos=dollars("1")),
            row("2026-11-20 23:59", cost_nanos=dollars("0.5")),
            row("2026-11-21 12:00", cost_nanos=dollars("4")),
            row("2026-11-21 12:00", model="o3", cost_nanos=dollars("0.25")),
        )
        before = date(2026, 11, 20)
        invoice = [
            line("gpt-4o", "1.2", before),
            line("gpt-4o", "0.3", before),
            line("gpt-4o", "3"),
            line("gpt-4.1", "2"),
        ]
        found = await drift(database, invoice)
        told = [
            (each.day.day, each.model, each.ours, each.theirs, each.difference)
            for each in found
        ]
        assert told == [
            (20, "gpt-4o", Decimal("1.5"), Decimal("1.5"), 0),
            (21, "gpt-4.1", 0, 2, -2),
            (21, "gpt-4o", 4, 3, 1),
            (21, "o3", Decimal("0.25"), 0, Decimal("0.25")),
        ]
        assert [each.ratio for each in found] == [1, 0, Decimal("1.3333"), None]

    @pytest.mark.parametrize(
        ("billed", "entry"),
        [
            ("gpt-4o-2024-08-06", {"answered_model": "gpt-4o-2024-08-06"}),
            ("gpt-4o", {"answered_model": "gpt-4o-2024-08-06"}),
            ("GPT-4o", {"model": "gpt-4o"}),
            ("gpt-4o", {"model": "other", "answered_model": "gpt-4o-2024-08-06"}),
            (
                "Claude Sonnet 4.5",
                {"model": "auto", "answered_model": "claude-sonnet-4-5-20250929"},
            ),
        ],
    )
    async def test_names_of_a_model_are_one(self, database, add, billed, entry):
        await add(row(cost_nanos=dollars("2"), **entry))
        assert await drift(database, [line(billed, "2")]) == [
            DriftRow(DAY, billed, Decimal("2"), Decimal("2"))
        ]

    async def test_names_of_two_models_are_two(self, database, add):
        await add(
            row(answered_model="gpt-4o-2024-08-06", cost_nanos=dollars("1")),
            row(answered_model="gpt-4o-2024-11-20", cost_nanos=dollars("2")),
        )
        invoice = [line("gpt-4o-2024-08-06", "1"), line("gpt-4o-2024-11-20", "2")]
        assert [each.difference for each in await drift(database, invoice)] == [0, 0]

    async def test_days_around_the_invoice_do_not_count(self, database, add):
        await add(
            row("2026-11-20 23:59:59.999", cost_nanos=1),
            row("2026-11-22 00:00", cost_nanos=1),
        )
        [only] = await drift(database, [line("gpt-4o", "1")])
        assert (only.ours, only.theirs) == (0, 1)

    async def test_one_provider_can_be_looked_at(self, database, add):
        await add(
            row(cost_nanos=dollars("1")),
            row(provider="azure", cost_nanos=dollars("5")),
        )
        invoice = [line("gpt-4o", "1")]
        for provider, ours in ((None, 6), ("openai", 1), ("azure", 5)):
            [only] = await drift(database, invoice, provider)
            assert only.ours == ours

    async def test_what_costs_nobody_anything_is_left_out(self, database, add):
        await add(row(model="free"))
        assert [each.model for each in await drift(database, [line("o3", "1")])] == [
            "o3"
        ]

    async def test_an_invoice_about_nothing_says_nothing(self, database, add):
        await add(row(cost_nanos=1))
        assert await drift(database, []) == []
