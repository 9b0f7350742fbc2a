"""Where the two halves of a text meet, which two models have written."""

from collections.abc import Iterator
from dataclasses import dataclass, field

# A shorter repetition may be meant; a longer one is not looked for.
_LEAST_OVERLAP = 16
_MOST_OVERLAP = 400


@dataclass(slots=True)
class Seam:
    """Takes out of the second half of a text what it repeats of the first.

    Args:
        first_half: The text so far.
    """

    first_half: str
    _held: str = field(default="", init=False)
    _is_open: bool = field(default=True, init=False)

    def add(self, text: str) -> str:
        """Take the next piece of the second half.

        Args:
            text: The piece.

        Returns:
            What can be shown; pieces are held back while they might be a repetition.
        """
        if not self._is_open:
            return text
        self._held += text
        end = self.first_half[-_MOST_OVERLAP:]
        for size in _sizes(end):
            repeated = end[-size:]
            if self._held.startswith(repeated):
                return self._close(size)
            if repeated.startswith(self._held):
                return ""
        return self._close(0)

    def close(self) -> str:
        """Take the end of the second half.

        Returns:
            What was still held back.
        """
        return self._close(0) if self._is_open else ""

    def _close(self, repeated: int) -> str:
        self._is_open = False
        return self._held[repeated:]


def _sizes(end: str) -> Iterator[int]:
    """List how much of a text may be repeated, most of it first."""
    yield from range(len(end), _LEAST_OVERLAP - 1, -1)
    blank = len(end) - len(end.rstrip())
    # Who goes on was not shown this.
    if 0 < blank < _LEAST_OVERLAP:
        yield blank
