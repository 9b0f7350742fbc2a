"""Tables on a terminal, of whatever width."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

_WIDEST = 10_000


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, as wide as its cells need it.

    Args:
        header: The name of each column.
        rows: A cell for each column.
    """
    table = Table(*(Column(name, no_wrap=True) for name in header))
    for row in rows:
        # As text, because names may look like rich's markup.
        table.add_row(*map(Text, row))
    # A terminal that is too narrow breaks lines, but no name and no number.
    width = Console(width=_WIDEST).measure(table).maximum
    Console(width=max(width, Console().width)).print(table)
