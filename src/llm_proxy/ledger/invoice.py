"""What a provider wants to be paid, from the CSV file that it exports."""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

# Names of the columns, the most telling first: plain ones, those of Anthropic's cost
# export (usage_date_utc, model, cost_usd) and of OpenAI's (start_time_iso, line_item,
# amount_value).
_DAYS = ("day", "date", "usage_date_utc", "start_time_iso")
_MODELS = ("model", "line_item")
_COSTS = ("cost", "cost_usd", "amount_value")
_CURRENCIES = ("currency", "amount_currency")

_DAY = re.compile(
    r"(\d{4}-\d\d-\d\d)([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+00:00)?)?", re.ASCII
)
_COST = re.compile(r"-?\d{1,12}(\.\d{1,40})?([eE]-\d\d?)?", re.ASCII)


class InvoiceError(ValueError):
    """The file is not an invoice that can be read; the text says where and why."""


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One amount that a provider charges.

    Attributes:
        day: The day of the calls, UTC.
        model: The provider's name of the model; empty for what no model has done.
        cost: US dollars; negative for a credit.
    """

    day: date
    model: str
    cost: Decimal


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where in a line things stand."""

    day: int
    model: int
    cost: int
    currency: int | None
    is_line_item: bool
    count: int


def read_invoice(lines: Iterable[str]) -> list[InvoiceLine]:
    """Read an invoice.

    Args:
        lines: The file's, its header first, as `open` with ``newline=""`` gives them.

    Returns:
        What is charged. Lines that name neither a model nor a cost are left out:
        OpenAI's export has them for days without calls.

    Raises:
        InvoiceError: Something is not as it should be.
    """
    reader = csv.reader(lines, strict=True)
    found: list[InvoiceLine] = []
    try:
        columns = _find_columns(next(reader, []))
        for cells in reader:
            found += _read_line(cells, columns)
    except (ValueError, csv.Error) as error:
        raise InvoiceError(f"line {max(1, reader.line_num)}: {error}") from None
    if found and not any(line.model for line in found):
        raise InvoiceError("no line names a model: export the costs by line item")
    return found


def _find_columns(header: list[str]) -> _Columns:
    names = [name.strip().casefold() for name in header]
    if names:
        # Programs of Microsoft begin files with it.
        names[0] = names[0].removeprefix("\ufeff")
    day, model, cost = (_find(names, wanted) for wanted in (_DAYS, _MODELS, _COSTS))
    return _Columns(
        day=day,
        model=model,
        cost=cost,
        currency=next((names.index(n) for n in _CURRENCIES if n in names), None),
        is_line_item=names[model] == "line_item",
        count=len(names),
    )


def _find(names: list[str], wanted: tuple[str, ...]) -> int:
    for name in wanted:
        if names.count(name) > 1:
            raise ValueError(f"there are two columns {name!r}")
        if name in names:
            return names.index(name)
    raise ValueError(f"there is no column {' or '.join(wanted)}")


def _read_line(cells: list[str], columns: _Columns) -> Iterator[InvoiceLine]:
    if not cells:
        return
    if len(cells) != columns.count:
        raise ValueError(f"has {len(cells)} cells, the header has {columns.count}")
    day, model, cost = (
        cells[index].strip() for index in (columns.day, columns.model, columns.cost)
    )
    when = _read_day(day)
    if not model and not cost:
        return
    currency = "" if columns.currency is None else cells[columns.currency].strip()
    if currency.casefold() not in ("", "usd"):
        raise ValueError(f"the currency is {currency[:20]!r}, not USD")
    if columns.is_line_item:
        # Such as "gpt-4o-2024-08-06, cached input".
        model = model.partition(",")[0].rstrip()
    yield InvoiceLine(when, model, _read_cost(cost))


def _read_day(text: str) -> date:
    match = _DAY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no day such as 2026-11-21, nor UTC")
    try:
        return date.fromisoformat(match[1])
    except ValueError:
        raise ValueError(f"there is no day {match[1]}") from None


def _read_cost(text: str) -> Decimal:
    if not _COST.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no amount such as 12.34")
    return Decimal(text)
