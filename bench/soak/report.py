"""What a soak has shown: demands that are met or not, and tables."""

import platform
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bench.soak.cases import CASES
from bench.soak.chart import svg
from bench.soak.run import CONCURRENCY, Result
from bench.soak.watch import Sample, last_half, slope

_FLAT_KIB = 50.0
# A shorter run ends before what is bounded is full.
_LONG_REQUESTS = 50_000
_ERROR_CODE = re.compile(r"[A-Z][A-Z_]+")

_INTRODUCTION = """\
# The long run

`python -m bench soak` sends {requests:,} requests of {cases} kinds to a service of its
own, {concurrency} at a time and in an order that is always the same. Behind the service
stands an upstream that misbehaves: the [sandbox](sandbox.md), in a process of its own.
The soak checks the outcome of every request, watches the service from outside, and in
the end demands that it has let go of everything. `--requests N` makes the run shorter
or longer, `--write` writes this page. The exit status is 1 if a demand is not met.

Retries wait for at most 0.1 s, providers may be silent for 5 s, a cool-down lasts for
0.5 s, and there are no rate limits; everything else is as it comes.
"""
_WORDS = """\
`whole` is a whole answer that has in it what was asked for, a number the status of a
clean error, `broken` a stream that ends with an error event, `left` a caller who hung
up.
"""


@dataclass(frozen=True, slots=True)
class Demand:
    """Something that a run has to show.

    Attributes:
        name: What is counted or measured.
        bound: The most it may be.
        found: What it was; None if this run cannot say.
        unit: Of both.
    """

    name: str
    bound: float
    found: float | None
    unit: str = ""

    @property
    def is_met(self) -> bool:
        """Whether it is."""
        return self.found is None or self.found <= self.bound

    @property
    def cells(self) -> tuple[str, ...]:
        """A row for people."""
        bound = f"{self.bound:.3g} {self.unit}".strip()
        if self.found is None:
            return self.name, bound, "", "the run was too short"
        verdict = "met" if self.is_met else "**missed**"
        return self.name, bound, f"{self.found:.3g}", verdict


class Report:
    """A run as text.

    Args:
        result: What was found.
    """

    def __init__(self, result: Result) -> None:
        self._result = result
        self._outcomes: dict[str, Counter[str]] = defaultdict(Counter)
        for (name, outcome), number in result.counts.items():
            self._outcomes[name][outcome] += number
        self._expected: dict[str, frozenset[str]] = {}
        for case in CASES:
            known = self._expected.get(case.name, frozenset())
            self._expected[case.name] = known | case.outcomes

    @property
    def is_good(self) -> bool:
        """Whether every demand is met."""
        return all(demand.is_met for demand in self.demands())

    def demands(self) -> list[Demand]:
        """Returns what is demanded, with what was found."""
        result, before, after = self._result, self._result.before, self._result.after
        long = result.requests >= _LONG_REQUESTS
        growth = slope(last_half(result.samples)) if long else None
        return [
            Demand("requests that ended otherwise than they should", 0, self._wrong()),
            Demand("lines in the log that tell of a defect", 0, self._defects()),
            Demand("calls under way in the end", 0, after.in_flight),
            Demand("connections to the upstream in the end", 0, after.upstream),
            Demand("calls that the upstream believes open", 0, result.upstream_open),
            Demand("open files in the end", before.files, after.files),
            Demand(
                "growth over the second half",
                _FLAT_KIB,
                growth,
                "KiB per 1,000 requests",
            ),
        ]

    def page(self) -> str:
        """Returns docs/soak.md."""
        parts = (
            _INTRODUCTION.format(
                requests=self._result.requests,
                cases=len(self._expected),
                concurrency=CONCURRENCY,
            ),
            f"## Demands\n\n{self.demands_table()}\n",
            "## Memory\n\n![Resident memory over the requests](soak.svg)\n\n"
            f"{self._memory_table()}\n",
            f"## Outcomes\n\n{_WORDS}\n{self.outcomes_table()}\n",
            f"{self._machine()}\n",
        )
        return "\n".join(parts)

    def chart(self) -> str:
        """Returns docs/soak.svg."""
        points = [(each.requests, each.rss_kib / 1024) for each in self._result.samples]
        return svg(points, "requests", "resident memory, MiB")

    def demands_table(self) -> str:
        """Returns the demands as a table."""
        rows = [demand.cells for demand in self.demands()]
        return _table(("Demand", "At most", "Found", ""), rows)

    def outcomes_table(self) -> str:
        """Returns how often each case had each outcome, defects in bold."""
        return _table(("Case", "Outcomes"), self._outcome_rows())

    def _outcome_rows(self) -> Iterator[tuple[str, str]]:
        for case, expected in self._expected.items():
            found = self._outcomes[case]
            words = [
                f"{outcome} {found[outcome]:,}"
                if outcome in expected
                else f"**{outcome} {found[outcome]:,}**"
                for outcome in sorted(found, key=lambda each: (-found[each], each))
            ]
            yield case, ", ".join(words)

    def _memory_table(self) -> str:
        samples = self._result.samples
        last = self._result.requests
        picked = [
            min(samples, key=lambda each: abs(each.requests - last * part / 10))
            for part in range(11)
        ]
        rows = [
            ("before", self._result.before),
            *((f"{each.requests:,}", each) for each in picked),
            ("after", self._result.after),
        ]
        return _table(
            ("Requests", "Memory, MiB", "Files", "Threads", "Upstream", "Calls"),
            [(name, *_sample_cells(sample)) for name, sample in rows],
        )

    def _machine(self) -> str:
        minutes = self._result.seconds / 60
        return (
            f"The run took {minutes:.1f} minutes with Python "
            f"{platform.python_version()} on two processors, one for the service."
        )

    def _wrong(self) -> int:
        return sum(
            number
            for (case, outcome), number in self._result.counts.items()
            if outcome not in self._expected[case]
        )

    def _defects(self) -> int:
        # Errors that callers are told have their code as event; the rest are defects.
        return sum(
            number
            for event, number in self._result.log_events.items()
            if not _ERROR_CODE.fullmatch(event)
        )


def _sample_cells(sample: Sample) -> tuple[str, ...]:
    return (
        f"{sample.rss_kib / 1024:.1f}",
        str(sample.files),
        str(sample.threads),
        str(sample.upstream),
        str(sample.in_flight),
    )


def _table(names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [names, tuple("---" for _ in names), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
