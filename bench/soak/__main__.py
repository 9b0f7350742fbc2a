"""`python -m bench soak`: does the service hold up, and does it let go again?"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.measure import BenchError
from bench.soak.report import Report
from bench.soak.run import Result, run

_DOCS = Path(__file__).parents[2] / "docs"
_SHOWN_BYTES = 1_500


def main(arguments: Sequence[str]) -> int:
    """Runs the soak and prints what it has shown.

    Args:
        arguments: Those of the command line.

    Returns:
        The exit status: 1 if a demand is not met or the run was not possible.
    """
    parser = argparse.ArgumentParser(prog="python -m bench soak")
    parser.add_argument("--requests", type=int, default=100_000, metavar="N")
    parser.add_argument("--write", action="store_true", help="write docs/soak.md")
    options = parser.parse_args(arguments)
    try:
        result = run(options.requests)
    except BenchError as error:
        print(f"The soak could not run: {error}", file=sys.stderr)
        return 1
    report = Report(result)
    print(report.outcomes_table(), report.demands_table(), sep="\n\n")
    _show_examples(result)
    if options.write:
        (_DOCS / "soak.md").write_text(report.page())
        (_DOCS / "soak.svg").write_text(report.chart())
    return 0 if report.is_good else 1


def _show_examples(result: Result) -> None:
    for (case, outcome), example in result.examples.items():
        shown = example[:_SHOWN_BYTES].decode("latin-1")
        print(f"\n{case}: {outcome}{os.linesep}{shown}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
