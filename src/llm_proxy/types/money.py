"""Amounts of money as callers and operators read them."""

from decimal import Decimal


def dollars(nanos: int) -> str:
    """Write an amount, with all its digits and no more.

    Args:
        nanos: Billionths of a US dollar.

    Returns:
        US dollars, such as ``0.000123``; JSON's numbers are no decimals.
    """
    return f"{Decimal(nanos).scaleb(-9).normalize():f}"
