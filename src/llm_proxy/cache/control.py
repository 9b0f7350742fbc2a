"""What a caller says about caches.

Source: RFC 9111, section 5.2.1, "Request Directives".
"""

import math
import re
from dataclasses import dataclass

# A member of a list: a name, and perhaps a value, as a token or in quotes.
_DIRECTIVE = re.compile(
    r"""
    \s* (?P<name> [\w!#$%&'*+.^`|~-]++ )
    (?: = (?: (?P<token> [\w!#$%&'*+.^`|~-]++ ) | "(?P<quoted> (?:[^"\\]|\\.)*+ )" ) )?
    \s* (?: , | $ )
    """,
    re.VERBOSE | re.ASCII,
)
_NEXT = re.compile(r'(?:"(?:[^"\\]|\\.)*+"|[^,"]|")*+(?:,|$)')
_SECONDS = re.compile(r"[0-9]+", re.ASCII)
# Caches need not tell longer times apart (RFC 9111, section 1.2.2).
_LONGEST_SECONDS = 2**31


@dataclass(frozen=True, slots=True)
class CacheControl:
    """What a caller allows.

    Attributes:
        reads: Whether a kept answer may be given.
        keeps: Whether the answer may be kept.
        max_age_seconds: How old a kept answer may be.
    """

    reads: bool = True
    keeps: bool = True
    max_age_seconds: float = math.inf

    def accepts(self, age_seconds: float) -> bool:
        """Say whether a kept answer is good enough.

        Args:
            age_seconds: How old it is.

        Returns:
            Whether the caller takes it.
        """
        return self.reads and age_seconds <= self.max_age_seconds


ANYTHING = CacheControl()


def read_cache_control(value: str) -> CacheControl:
    """Read the header ``Cache-Control`` of a request.

    Args:
        value: The header; several are joined by commas. What is not understood in it is
            left aside.

    Returns:
        What it allows. Of several ages the least counts.
    """
    reads = keeps = True
    max_age = math.inf
    for name, given in _directives(value):
        if name == "no-store":
            reads = keeps = False
        elif name == "no-cache":
            reads = False
        elif name == "max-age" and _SECONDS.fullmatch(given):
            # Longer runs of digits would take long to read.
            seconds = int(given) if len(given) < 10 else _LONGEST_SECONDS
            max_age = min(max_age, seconds)
    return CacheControl(reads and max_age > 0, keeps, max_age)


def _directives(value: str) -> list[tuple[str, str]]:
    """Part the directives from each other; names are in lower case."""
    found = []
    at = 0
    while at < len(value):
        directive = _DIRECTIVE.match(value, at)
        if directive is not None:
            given = directive["token"] or directive["quoted"] or ""
            found.append((directive["name"].lower(), given))
            at = directive.end()
        else:
            junk = _NEXT.match(value, at)
            at = junk.end() if junk else len(value)
    return found
