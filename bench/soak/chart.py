"""A curve as an SVG picture."""

from collections.abc import Sequence
from itertools import count, takewhile

_WIDTH, _HEIGHT = 800, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 20, 20, 45
_STEPS = 5

Point = tuple[float, float]


def svg(points: Sequence[Point], across: str, up: str) -> str:
    """Draws a curve over axes that begin at zero.

    Args:
        points: At least one, from left to right; none is negative.
        across: What the horizontal axis is.
        up: What the vertical axis is.

    Returns:
        The text of an SVG file that is readable on light and dark pages.
    """
    right = max(x for x, _ in points) or 1.0
    ticks = _ticks(max(y for _, y in points))
    top = ticks[-1]

    def place(x: float, y: float) -> Point:
        width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        return _LEFT + x / right * width, _TOP + (1 - y / top) * height

    curve = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in points)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        *(_line(place(0, tick), place(right, tick), tick) for tick in ticks),
        *(
            _text(place(right * part / _STEPS, 0), 18, f"{right * part / _STEPS:,.0f}")
            for part in range(_STEPS + 1)
        ),
        f'<polyline points="{curve}" fill="none" stroke="#06c" stroke-width="1.5"/>',
        _text(place(right / 2, 0), 36, across),
        f'<text x="{_LEFT + 6}" y="{_TOP + 14}" fill="#333">{up}</text>',
        "</svg>\n",
    ]
    return "\n".join(parts)


def _ticks(most: float) -> list[float]:
    """List round numbers from zero to beyond the greatest value."""
    step = 1.0
    while step * 6 < most:
        step *= 2 if str(step)[0] in "15" else 2.5
    below = takewhile(lambda tick: tick < most, (step * n for n in count()))
    ticks = [*below]
    return [*ticks, step * max(len(ticks), 1)]


def _line(start: Point, end: Point, value: float) -> str:
    (x1, y1), (x2, y2) = start, end
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'
        f'<text x="{x1 - 8:.1f}" y="{y1 + 4:.1f}" text-anchor="end" fill="#333">'
        f"{value:g}</text>"
    )


def _text(place: Point, below: int, words: str) -> str:
    x, y = place
    return (
        f'<text x="{x:.1f}" y="{y + below:.1f}" text-anchor="middle" fill="#333">'
        f"{words}</text>"
    )
