"""The report, for people and for programs."""

from collections import Counter
from collections.abc import Iterable, Sequence

import orjson
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from llm_proxy.selftest.faults import SURFACES
from llm_proxy.selftest.result import Mark, Result
from llm_proxy.selftest.run import Report

_SIGNS: dict[Mark, str] = {"passed": "✓", "reserved": "○", "failed": "✗"}
_COLOURS: dict[Mark, str] = {"passed": "green", "reserved": "yellow", "failed": "red"}
# Wide enough for "completions".
_COLUMN = 12
_LEGEND = (
    "Signs of a fault, in this order: alone; with a fallback; and for streams that die "
    "in the middle, with stream recovery buffer and continue.\n"
    "✓ a complete answer or a clean error in time, as promised   "
    "○ clean, with a reservation   ✗ a broken promise"
)


def print_report(report: Report, console: Console) -> None:
    """Print a scorecard.

    Args:
        report: What was found.
        console: Where to.
    """
    console.print(_fault_table(report.faults))
    console.print(_other_table(report.others))
    console.print(_LEGEND)
    for mark, title in (("failed", "Broken promises"), ("reserved", "Reservations")):
        _print_reasons(console, title, [r for r in report.results if r.mark == mark])
    counts = Counter(result.mark for result in report.results)
    console.print(
        f"\n{len(report.results)} cases in {report.seconds:.0f} s: "
        f"{counts['passed']} passed, {counts['reserved']} with a reservation, "
        f"{counts['failed']} failed. "
        + ("All green." if report.is_green else "Not green.")
    )


def encode_report(report: Report) -> bytes:
    """Write a report as JSON.

    Args:
        report: What was found.

    Returns:
        ``{"ok", "url", "seconds", "counts", "cases"}``.
    """
    return orjson.dumps(
        {
            "ok": report.is_green,
            "url": report.url,
            "own_instance": report.is_own,
            "seconds": round(report.seconds, 3),
            "counts": Counter(result.mark for result in report.results),
            "cases": [_encode(result) for result in report.results],
        },
        option=orjson.OPT_INDENT_2,
    )


def _encode(result: Result) -> dict[str, object]:
    case = result.case
    place = (
        {}
        if case is None
        else {
            "surface": case.surface.name,
            "stream": case.stream,
            "way": case.way,
        }
    )
    return {
        "name": result.name,
        **place,
        "result": result.mark,
        "complaints": result.verdict.complaints,
        "reservation": result.verdict.reservation or None,
        "seconds": round(result.seconds, 3),
    }


def _fault_table(results: Sequence[Result]) -> Table:
    table = Table(box=SIMPLE)
    table.add_column("fault", no_wrap=True)
    for surface in SURFACES:
        table.add_column(surface.name, overflow="fold", max_width=_COLUMN)
        table.add_column("stream", min_width=_COLUMN // 2)
    table.add_column("s", justify="right")
    for name in dict.fromkeys(result.name for result in results):
        row = [result for result in results if result.name == name]
        cells = [
            _signs(_cell(row, surface.name, stream))
            for surface in SURFACES
            for stream in (False, True)
        ]
        longest = max(result.seconds for result in row)
        table.add_row(name, *cells, f"{longest:.1f}")
    return table


def _other_table(results: Iterable[Result]) -> Table:
    table = Table("besides", "", box=SIMPLE)
    table.add_column("s", justify="right")
    for result in results:
        table.add_row(result.name, _signs([result]), f"{result.seconds:.1f}")
    return table


def _cell(row: Iterable[Result], surface: str, stream: bool) -> list[Result]:
    return [
        result
        for result in row
        if result.case is not None
        and result.case.surface.name == surface
        and result.case.stream == stream
    ]


def _signs(results: Iterable[Result]) -> str:
    return "".join(
        f"[{_COLOURS[result.mark]}]{_SIGNS[result.mark]}[/]" for result in results
    )


def _print_reasons(console: Console, title: str, results: Sequence[Result]) -> None:
    if results:
        console.print(f"\n{title}:")
    for result in results:
        reasons = result.verdict.complaints or (result.verdict.reservation,)
        console.print(f"- {result.place}: {'; '.join(reasons)}", markup=False)
