"""Tables as CSV."""

import csv
from decimal import Decimal
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.ledger.csv_text import csv_text


def written(*rows: tuple) -> str:
    return "".join(csv_text(("name", "cost"), rows))


def test_lines_end_as_rfc_4180_wants_it():
    assert written(("a", 1), ("b", 2)) == "name,cost\r\na,1\r\nb,2\r\n"


def test_a_table_without_rows_has_its_header():
    assert written() == "name,cost\r\n"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("a,b", '"a,b"'),
        ('say "hi"', '"say ""hi"""'),
        ("two\nlines", '"two\nlines"'),
        (Decimal("0E-9"), "0.000000000"),
        (Decimal("-1.5"), "-1.5"),
        (-3, "-3"),
        (None, ""),
    ],
)
def test_cells_are_quoted_where_they_must_be(cell, expected):
    assert written(("x", cell)) == f"name,cost\r\nx,{expected}\r\n"


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff201"],
)
def test_no_text_is_a_formula(text):
    [_, (name, _)] = csv.reader(StringIO(written((text, 1)), newline=""))
    assert name == "'" + text


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8")), st.integers(0))))
def test_what_is_written_can_be_read(rows):
    text = written(*((f"x{name}", number) for name, number in rows))
    read = list(csv.reader(StringIO(text, newline=""), strict=True))
    assert read[1:] == [[f"x{name}", str(number)] for name, number in rows]


def test_long_tables_come_in_pieces():
    rows = [(f"row {number}", number) for number in range(1200)]
    pieces = list(csv_text(("name", "cost"), rows))
    assert len(pieces) == 3
    assert "".join(pieces).count("\r\n") == 1201
