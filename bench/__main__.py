"""Measures the service beside two references, all in one run.

`python -m bench [--quick] [--json FILE]`. A timing never fails: the exit status is 1
only if the benchmark could not run or the service gave wrong answers.
`python -m bench soak` is the long run of `bench.soak`.
"""

import argparse
import json
import os
import sys
import tempfile
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from bench.load import Job
from bench.measure import BenchError, LoadGenerator, Sample, Server, free_port
from bench.report import BARE, FLOOR, RELAY, SUBJECT, TRANSLATION, Process, Report, Row
from bench.soak.__main__ import main as soak
from bench.upstream import ANSWER, STREAM_TOKENS, TOKEN

_API_TOKEN = "bench-0123456789abcdefghijklmnopqrstuvwxyz"
_PROMPT = (
    "Summarise the following notes for a colleague who was not in the meeting, in "
    "plain words and without leaving anything out. We spoke about the plan for the "
    "next quarter, the two open positions in the support team, and the question "
    "whether the reports should be sent every week or every month. Most people "
    "preferred every month, as long as the numbers can be looked up at any time. "
    "The positions will be filled in spring. The plan is to be written by Friday."
)
_CONCURRENCIES = (1, 32, 256)


@dataclass(frozen=True, slots=True)
class Load:
    """What a server is given, and what a right answer of it looks like.

    Attributes:
        server: Who gets it.
        plain: Plain requests that take about a second.
        streams: Streams that take about a second.
        tokens: How often a complete stream has `TOKEN`.
        ending: Text in the last event of a stream.
        model: The model to ask for in OpenAI's dialect; empty asks `/chat`.
    """

    server: str
    plain: int
    streams: int
    tokens: int = STREAM_TOKENS
    ending: str = "[DONE]"
    model: str = ""

    def job(
        self, place: tuple[int, str], kind: str, connections: int, share: float
    ) -> Job:
        """Returns one run.

        Args:
            place: Where the server answers, and the key that it takes.
            kind: ``plain`` or ``stream``.
            connections: How many requests are under way at any time.
            share: Of the number of requests.
        """
        streams = kind == "stream"
        requests = round((self.streams if streams else self.plain) * share)
        port, key = place
        return Job(
            port=port,
            request=_request(streams, self.model, key),
            connections=connections,
            requests=max(requests, connections),
            marker=TOKEN if streams else ANSWER,
            marker_count=self.tokens if streams else 1,
            ending=self.ending if streams else "",
        )


_LOADS = {
    FLOOR: Load(FLOOR, plain=12_000, streams=900),
    "constant": Load("constant", plain=12_000, streams=900),
    "naive": Load("naive", plain=900, streams=300),
    # Its last event repeats the whole text.
    SUBJECT: Load(
        SUBJECT,
        plain=6_000,
        streams=900,
        tokens=2 * STREAM_TOKENS,
        ending="event: done",
    ),
    BARE: Load(
        BARE, plain=6_000, streams=900, tokens=2 * STREAM_TOKENS, ending="event: done"
    ),
    RELAY: Load(SUBJECT, plain=6_000, streams=900, model="openai/gpt-4"),
    TRANSLATION: Load(
        SUBJECT, plain=4_000, streams=600, model="anthropic/claude-sonnet-4-5"
    ),
}


def _request(streams: bool, model: str, key: str) -> str:
    content: dict[str, object]
    if model:
        path = "/v1/chat/completions"
        messages = [{"role": "user", "content": _PROMPT}]
        content = {"model": model, "max_tokens": 500, "messages": messages}
    else:
        path = "/chat"
        content = {"provider": "openai", "model": "gpt-4", "prompt": _PROMPT}
    options = {"stream": True} if streams else {}
    body = json.dumps(content | options, separators=(",", ":"))
    return (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"x-api-key: {key}\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    )


def _environment(port: int, upstream_port: int) -> Mapping[str, str]:
    """Everything on, as in production; only the rate limit is out of reach.

    And the cache is off: all requests are the same one.
    """
    return {
        "PATH": os.environ["PATH"],
        "ENVIRONMENT": "testing",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "API_TOKEN": _API_TOKEN,
        "LOG_FORMAT": "json",
        "RATE_LIMIT": "1000000000",
        "CACHE_POLICY": "off",
        "OPENAI_API_KEY": "bench",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{upstream_port}/v1",
        "ANTHROPIC_API_KEY": "bench",
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{upstream_port}/v1",
    }


def _make_key(port: int) -> str:
    """Makes a virtual key with every limit there is, all of them out of reach."""
    out_of_reach = 1_000_000_000
    allowance = {
        "requests_per_minute": out_of_reach,
        "tokens_per_minute": 1000 * out_of_reach,
        "concurrent_requests": out_of_reach,
        "budgets": {"day": 100_000, "month": 1_000_000},
    }
    key = {"name": "bench", "organisation": "acme", "team": "red", "owner": "ann"}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/keys",
        json.dumps({**key, "allowance": allowance}).encode(),
        {"content-type": "application/json", "x-api-key": _API_TOKEN},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["data"]["secret"]


def _start(stack: ExitStack) -> dict[str, Server]:
    """Starts the stub, the references and the service, twice."""
    upstream_port = free_port()
    arguments = ["-m", "bench.upstream", str(upstream_port)]
    upstream = Server(arguments, upstream_port, cpu=1)
    servers = {FLOOR: stack.enter_context(upstream)}
    for name in ("constant", "naive"):
        port = free_port()
        arguments = ["-m", "bench.references", name, str(port), str(upstream_port)]
        servers[name] = stack.enter_context(Server(arguments, port))
    for name, database in ((SUBJECT, {}), (BARE, {"DATABASE_URL": "off"})):
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        port = free_port()
        environment = {**_environment(port, upstream_port), **database}
        command = ["-m", "llm_proxy", "serve"]
        servers[name] = stack.enter_context(Server(command, port, environment, folder))
    return servers


def _measure(quick: bool) -> Report:
    samples: dict[tuple[str, int, str], list[Sample]] = defaultdict(list)
    with ExitStack() as stack:
        servers = _start(stack)
        key = _make_key(servers[SUBJECT].port)
        generator = stack.enter_context(LoadGenerator())
        for case in _cases(repeats=1 if quick else 3):
            kind, connections, name = case
            load = _LOADS[name]
            server = servers[load.server]
            place = server.port, key if load.server == SUBJECT else _API_TOKEN
            job = load.job(place, kind, connections, 0.3 if quick else 1)
            samples[case].append(generator.run(job, server))
            print(".", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        processes = [
            Process(name, server.start_seconds, server.idle_mb, server.memory_mb())
            for name, server in servers.items()
        ]
    rows = [Row(*case, Sample.median(runs)) for case, runs in samples.items()]
    return Report(rows, processes)


def _cases(repeats: int) -> Iterator[tuple[str, int, str]]:
    """Every load on every server, again and again rather than each one in a row."""
    for _ in range(repeats):
        yield from product(("plain", "stream"), _CONCURRENCIES, _LOADS)


def main() -> int:
    """Runs the benchmark and prints the report.

    Returns:
        The exit status.
    """
    if sys.argv[1:2] == ["soak"]:
        return soak(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--quick", action="store_true", help="one short run of each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures here")
    arguments = parser.parse_args()
    try:
        report = _measure(arguments.quick)
    except BenchError as error:
        print(f"The benchmark could not run: {error}", file=sys.stderr)
        return 1
    print(report.text())
    if arguments.json:
        arguments.json.write_text(json.dumps(report.json(), indent=2) + "\n")
    for row in report.wrong_answers:
        print(
            f"Wrong answer, {row.kind} at {row.concurrency}: {row.sample.example}",
            file=sys.stderr,
        )
    return 1 if report.wrong_answers else 0


if __name__ == "__main__":
    sys.exit(main())
