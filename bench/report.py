"""What was measured, as a table for people and as JSON for programs."""

import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.measure import Sample

SUBJECT = "llm-proxy"
RELAY = "relay"
TRANSLATION = "translation"
# The same service where nothing is kept: no keys, no limits, no ledger.
BARE = "bare"
FLOOR = "upstream"
_SUBJECTS = (SUBJECT, RELAY, TRANSLATION, BARE)
_PROXIES = (*_SUBJECTS, "naive")
_COLUMNS = (
    ("kind", 7),
    ("conc", 4),
    ("server", 11),
    ("CPU μs/req", 11),
    ("/ naive", 8),
    ("/ const", 8),
    ("req/s", 7),
    ("p50 ms", 8),
    ("p99 ms", 8),
    ("+p50 ms", 8),
    ("+p99 ms", 8),
    ("errors", 6),
)
_PROCESS_COLUMNS = (("server", 9), ("start s", 8), ("idle MB", 8), ("after MB", 8))


@dataclass(frozen=True, slots=True)
class Row:
    """The median of all runs of one load on one server.

    Attributes:
        kind: ``plain`` or ``stream``.
        concurrency: Requests under way at any time.
        server: The server's name.
        sample: The measures.
    """

    kind: str
    concurrency: int
    server: str
    sample: Sample


@dataclass(frozen=True, slots=True)
class Process:
    """What one server took besides CPU.

    Attributes:
        server: The server's name.
        start_seconds: From starting the process to the first answer.
        idle_mb: Resident megabytes before the load.
        loaded_mb: Resident megabytes after it.
    """

    server: str
    start_seconds: float
    idle_mb: float
    loaded_mb: float


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure that the service has to reach.

    Attributes:
        name: What is measured.
        bound: The most it may be.
        measured: What it was, at the worst concurrency.
        unit: Of both.
    """

    name: str
    bound: float
    measured: float
    unit: str

    @property
    def line(self) -> str:
        """The goal and whether it was met, as a sentence."""
        verdict = "met" if self.measured <= self.bound else "MISSED"
        return (
            f"{self.name}: {_figure(self.measured, self.unit)}, "
            f"target {_figure(self.bound, self.unit)}: {verdict}"
        )


class Report:
    """The figures of one run.

    Args:
        rows: Every load on every server.
        processes: Every server.
    """

    def __init__(self, rows: Sequence[Row], processes: Sequence[Process]) -> None:
        self._rows = rows
        self._processes = processes
        self._samples = {
            (row.kind, row.concurrency, row.server): row.sample for row in rows
        }

    @property
    def wrong_answers(self) -> list[Row]:
        """Rows in which the service answered wrongly."""
        return [
            row for row in self._rows if row.server in _SUBJECTS and row.sample.errors
        ]

    def goals(self) -> list[Goal]:
        """Returns the targets of the design with what was measured."""
        most = max(row.concurrency for row in self._rows)
        subjects = [row for row in self._rows if row.server in _SUBJECTS]
        errors = sum(r.sample.errors for r in subjects if r.concurrency == most)
        native = [row for row in self._rows if row.server == SUBJECT]
        relay = [row for row in self._rows if row.server == RELAY]
        return [
            Goal("CPU per plain request", 250, _worst(native, "plain"), "μs"),
            Goal("CPU per stream", 0.7, _worst(native, "stream") / 1e3, "ms"),
            Goal("CPU per relayed stream", 0.7, _worst(relay, "stream") / 1e3, "ms"),
            *[
                Goal(f"translation / relay, {kind}", 2, self._translation(kind), "")
                for kind in ("plain", "stream")
            ],
            Goal(f"errors at concurrency {most}", 0, errors, "requests"),
        ]

    def _translation(self, kind: str) -> float:
        """Returns what translation costs in relays, at the worst concurrency."""
        return max(
            row.sample.cpu_us / self._samples[kind, row.concurrency, RELAY].cpu_us
            for row in self._rows
            if (row.kind, row.server) == (kind, TRANSLATION)
        )

    def text(self) -> str:
        """Returns two tables and a line for each target."""
        rows = [self._cells(row) for row in self._rows]
        processes = [
            (
                p.server,
                f"{p.start_seconds:.2f}",
                f"{p.idle_mb:.0f}",
                f"{p.loaded_mb:.0f}",
            )
            for p in self._processes
        ]
        parts = (
            _machine(),
            _table(_COLUMNS, rows),
            _table(_PROCESS_COLUMNS, processes),
            "\n".join(goal.line for goal in self.goals()),
        )
        return "\n\n".join(parts)

    def json(self) -> dict[str, Any]:
        """Returns the same figures for programs."""
        return {
            "machine": _machine(),
            "rows": [asdict(row) for row in self._rows],
            "processes": [asdict(process) for process in self._processes],
            "goals": [asdict(goal) for goal in self.goals()],
        }

    def _cells(self, row: Row) -> tuple[str, ...]:
        def cpu_ratio(server: str) -> str:
            other = self._samples[row.kind, row.concurrency, server]
            return f"{sample.cpu_us / other.cpu_us:.2f}" if other.cpu_us else "-"

        def added(milliseconds: float, floor: float) -> str:
            return f"{milliseconds - floor:.2f}" if row.server in _PROXIES else "-"

        sample = row.sample
        floor = self._samples[row.kind, row.concurrency, FLOOR]
        return (
            row.kind,
            str(row.concurrency),
            row.server,
            f"{sample.cpu_us:.0f}",
            cpu_ratio("naive"),
            cpu_ratio("constant"),
            f"{sample.per_second:.0f}",
            f"{sample.p50_ms:.2f}",
            f"{sample.p99_ms:.2f}",
            added(sample.p50_ms, floor.p50_ms),
            added(sample.p99_ms, floor.p99_ms),
            str(sample.errors),
        )


def _figure(value: float, unit: str) -> str:
    return f"{value:.4g} {unit}".rstrip()


def _worst(rows: Iterable[Row], kind: str) -> float:
    return max(row.sample.cpu_us for row in rows if row.kind == kind)


def _machine() -> str:
    return f"Python {platform.python_version()} on {platform.platform()}"


def _table(columns: Sequence[tuple[str, int]], rows: Iterable[Sequence[str]]) -> str:
    names = [name for name, _ in columns]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if position > 2 or cell.isdigit() else cell.ljust(width)
            for position, (cell, (_, width)) in enumerate(
                zip(cells, columns, strict=True)
            )
        )
        for cells in (names, *rows)
    )
