"""``python -m llm_proxy.selftest docs/selftest.md`` puts a fresh scorecard there."""

import asyncio
import re
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console

from llm_proxy.selftest.own import start_own
from llm_proxy.selftest.run import Report, run
from llm_proxy.selftest.scorecard import print_report

_FENCE = re.compile(r"(?<=```text\n)# llm-proxy selftest\n.*?(?=```)", re.DOTALL)
_WIDTH = 100


async def _test_own() -> Report:
    async with start_own() as instance:
        return await run(instance)


def _write(path: Path, report: Report) -> None:
    paper = StringIO()
    print_report(report, Console(file=paper, width=_WIDTH, color_system=None))
    lines = [line.rstrip() for line in paper.getvalue().splitlines()]
    card = "\n".join(("# llm-proxy selftest", *lines, ""))
    document = path.read_text(encoding="utf-8")
    path.write_text(_FENCE.sub(lambda _: card, document), encoding="utf-8")


if __name__ == "__main__":
    _write(Path(sys.argv[1]), asyncio.run(_test_own()))
