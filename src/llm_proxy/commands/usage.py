"""``llm-proxy usage``: what was used, what it cost, and what invoices say."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from llm_proxy.commands.database import opened
from llm_proxy.commands.tables import print_table
from llm_proxy.errors import InvalidInputError
from llm_proxy.ledger.csv_text import Cell, csv_text
from llm_proxy.ledger.days import read_day
from llm_proxy.ledger.drift import drift
from llm_proxy.ledger.invoice import InvoiceError, read_invoice
from llm_proxy.ledger.usage import DIMENSIONS, Dimension, UsageQuery, columns, usage
from llm_proxy.settings import ConfigurationError

commands = typer.Typer(
    help="What was used, and what it cost.", invoke_without_command=True
)
AsCSV = Annotated[bool, typer.Option("--csv", help="For spreadsheets.")]


@commands.callback()
def usage_command(
    context: typer.Context,
    by: Annotated[str, typer.Option(help=f"Of {', '.join(DIMENSIONS)}.")] = "model",
    first: Annotated[str, typer.Option("--from", help="Default: this month.")] = "",
    last: Annotated[str, typer.Option("--to", help="Default: today.")] = "",
    as_csv: AsCSV = False,
) -> None:
    """Add up the ledger.

    Args:
        context: Whether another command follows.
        by: What the sums are divided by, separated by commas.
        first: The first day, UTC.
        last: The last day, included.
        as_csv: Whether to print CSV.
    """
    if context.invoked_subcommand is not None:
        return
    end = _day(last) if last else datetime.now(UTC).date()
    begin = _day(first) if first else end.replace(day=1)
    if begin > end:
        raise ConfigurationError(f"--from {begin}: must not be after --to {end}")
    query = UsageQuery(
        principal=None,
        first_day=begin,
        last_day=end,
        by=tuple(_dimension(name.strip()) for name in by.split(",") if name.strip()),
    )
    _print(columns(query.by), asyncio.run(_sums(query)), as_csv)


@commands.command("drift", help="Compare an invoice with the ledger, day by day.")
def drift_command(
    invoice: Annotated[Path, typer.Argument(help="CSV with day, model and cost.")],
    provider: Annotated[str | None, typer.Option(help="Who sent it.")] = None,
    as_csv: AsCSV = False,
) -> None:
    """Compare an invoice with the ledger, day by day.

    Args:
        invoice: The file.
        provider: The only provider whose calls count.
        as_csv: Whether to print CSV.
    """
    _print(
        ("day", "model", "ours", "theirs", "difference", "ratio"),
        asyncio.run(_drift(invoice, provider)),
        as_csv,
    )


async def _sums(query: UsageQuery) -> list[list[Cell]]:
    async with opened() as database:
        try:
            return [[*row.cells()] for row in await usage(database, query)]
        except InvalidInputError as error:
            raise ConfigurationError(error.message) from error


async def _drift(invoice: Path, provider: str | None) -> list[list[Cell]]:
    try:
        with invoice.open(encoding="utf-8-sig", newline="") as file:
            lines = read_invoice(file)
    except OSError as error:
        raise ConfigurationError(f"{invoice}: {error.strerror}") from error
    except (InvoiceError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{invoice}: {error}") from error
    async with opened() as database:
        return [
            [
                row.day.isoformat(),
                row.model,
                row.ours,
                row.theirs,
                row.difference,
                row.ratio,
            ]
            for row in await drift(database, lines, provider)
        ]


def _print(header: Sequence[str], rows: Sequence[Sequence[Cell]], as_csv: bool) -> None:
    if as_csv:
        sys.stdout.writelines(csv_text(header, rows))
        return
    print_table(header, ([_shown(cell) for cell in row] for row in rows))


def _shown(cell: Cell) -> str:
    if cell is None:
        return "-"
    return f"{cell:f}" if isinstance(cell, Decimal) else str(cell)


def _day(text: str) -> date:
    try:
        return read_day(text)
    except ValueError:
        raise ConfigurationError(f"{text!r} is no day such as 2026-11-21") from None


def _dimension(name: str) -> Dimension:
    for known in DIMENSIONS:
        if name == known:
            return known
    raise ConfigurationError(f"--by {name}: one of {', '.join(DIMENSIONS)}")
