"""Tables as CSV (RFC 4180) that is safe to open in a spreadsheet."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from io import StringIO

Cell = str | int | Decimal | None

_ROWS_PER_PIECE = 500
# Spreadsheets take what begins like this for a formula, which could send away what
# stands beside it; the last four are full-width forms.
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """Write a table as CSV.

    Args:
        header: The names of the columns.
        rows: One cell per column; texts that could be formulas get an apostrophe.

    Yields:
        Pieces of some hundred rows.
    """
    buffer = StringIO()
    writer = csv.writer(buffer)
    writer.writerow(header)
    for number, row in enumerate(rows, start=1):
        writer.writerow([_defused(cell) for cell in row])
        if number % _ROWS_PER_PIECE == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _defused(cell: Cell) -> Cell:
    if isinstance(cell, Decimal):
        return f"{cell:f}"
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return f"'{cell}"
    return cell
