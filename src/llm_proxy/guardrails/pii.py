"""Finds personal data in text and puts placeholders in its place.

A shape and a check per kind, tuned both ways: what people type as an e-mail address,
a telephone number, a US social security number or a payment card is found; order ids,
dates, time stamps, versions and other numbers stay.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Copied text carries typographic spaces, dashes and full-width signs; `\d` already
# covers the digits of every script.
_SPACE = r"\ \u00a0\u2007\u2009\u202f"
_DASH = r"\-\u2010-\u2015\u2212\uff0d"
_AT = r"[@\ufe6b\uff20]"
_GAP = rf"[{_SPACE}{_DASH}]"
_PHONE_GAP = rf"[{_SPACE}{_DASH}.]"
_ANY_GAP = rf"{_SPACE}{_DASH}./()"
# Letters up to U+1FFF: scripts written without spaces lie above, and would have the
# words around an address swallowed.
_LETTER = r"A-Za-z\u00c0-\u1fff"
_LOCAL = rf"{_LETTER}0-9_.%+\-"

_EMAIL = re.compile(
    rf"(?<![{_LOCAL}])[{_LOCAL}]++{_AT}"
    rf"(?:[{_LETTER}0-9_\-]++[.\uff0e])+[{_LETTER}]{{2,}}"
)

_NUMBER = re.compile(
    rf"""
    (?<![\dA-Za-z+]) (?<!\d[.{_DASH}])
    (?:
        (?P<credit_card>
            (?<![A-Za-z][{_DASH}])
            (?:
                (?P<number> \d{{4}} {_GAP}?\d{{4}} {_GAP}?\d{{4}} {_GAP}?\d{{1,4}} )
                (?: {_GAP}\d{{1,3}} )?
              | \d{{17,19}}
              | \d{{4}} {_GAP}?\d{{6}} {_GAP}?\d{{4,5}}
            )
            (?! [{_DASH}]?[A-Za-z] )
        )
      | (?P<ssn>
            (?!000|666|9)\d{{3}} (?P<gap>{_GAP}) (?!00)\d{{2}} (?P=gap) (?!0000)\d{{4}}
        )
      | (?P<phone>
            (?: 1{_PHONE_GAP}? )?
            (?: \(\d{{3}}\) {_PHONE_GAP}? \d{{3}} {_PHONE_GAP}?
              | \d{{3}}[{_DASH}.] \d{{3}}[{_DASH}.]
              | [2-9]\d{{2}}[{_SPACE}] \d{{3}}{_PHONE_GAP}
            ) \d{{4}}
          | \+1 (?: [{_ANY_GAP}]{{0,3}}\d ){{10}}
          | (?: \+ | (?<![A-Za-z][{_DASH}])00(?=[2-9]\d{{0,2}}{_PHONE_GAP}) ) [2-9]
            (?: [{_ANY_GAP}]{{0,3}}\d ){{8,14}}
        )
    )
    (?! \d | [.{_DASH}]\d )
    """,
    re.VERBOSE,
)

# Three cheap questions that let ordinary prose through without the searches above.
_DIGITS = str.maketrans("123456789", "000000000")
_HAS_AT = re.compile(_AT)
_HAS_LONG_NUMBER = re.compile(rf"\d[\d{_ANY_GAP}]{{7}}")

# Issuer prefixes and lengths (ISO/IEC 7812), so that time stamps in milliseconds and
# serial numbers that happen to have a right check digit are no cards.
_CARD_NUMBER = re.compile(
    r"""
    4\d{12}(?:\d{3}){0,2}        # Visa
  | (?:5[1-5]|2[2-7])\d{14}      # Mastercard, Mir
  | 3[47]\d{13}                  # American Express
  | 3[0689]\d{12}(?:\d{2,5})?    # Diners Club
  | 35\d{14,17}                  # JCB
  | (?:5[06-8]|6\d)\d{14,17}     # Discover, UnionPay, Maestro
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Redaction:
    """A text that may leave, and what was taken out of it.

    Attributes:
        text: The text with placeholders such as ``[EMAIL_REDACTED]``.
        kinds: What was found, sorted: credit_card, email, phone, ssn.
    """

    text: str
    kinds: tuple[str, ...] = ()


def redact(text: str) -> Redaction:
    """Replace personal data by placeholders, in time linear in the text.

    Args:
        text: What a caller wants to send.

    Returns:
        The text without the personal data, and the kinds that were found.
    """
    if text.isascii() and "@" not in text and "0" not in text.translate(_DIGITS):
        return Redaction(text)
    kinds: set[str] = set()
    if _HAS_AT.search(text):
        text, count = _EMAIL.subn(_placeholder("email"), text)
        if count:
            kinds.add("email")
    if _HAS_LONG_NUMBER.search(text):
        pieces: list[str] = []
        position = 0
        for kind, start, end in _personal_numbers(text):
            pieces += text[position:start], _placeholder(kind)
            kinds.add(kind)
            position = end
        text = "".join((*pieces, text[position:]))
    return Redaction(text, tuple(sorted(kinds)))


def _placeholder(kind: str) -> str:
    return f"[{kind.upper()}_REDACTED]"


def _personal_numbers(text: str) -> Iterator[tuple[str, int, int]]:
    """Kind, start and end of each number that is personal data."""
    position = 0
    while match := _NUMBER.search(text, position):
        if (end := _confirmed_end(match)) is None:
            position = match.start() + 1
        else:
            position = end
            yield str(match.lastgroup), match.start(), end


def _confirmed_end(match: re.Match[str]) -> int | None:
    """Where the personal data ends; None if the digits are no payment card."""
    if match.lastgroup != "credit_card":
        return match.end()
    # The last group of digits may be the security code or a date beside the card.
    for group in ("credit_card", "number"):
        if match[group] and _is_card(match[group]):
            return match.end(group)
    return None


def _is_card(number: str) -> bool:
    """Whether the digits have an issuer's prefix and a right check digit (Luhn)."""
    digits = [int(character) for character in number if character.isdecimal()]
    if not _CARD_NUMBER.fullmatch("".join(map(str, digits))):
        return False
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
