"""The run: the service, an upstream that misbehaves, callers, and a watch on it all."""

import asyncio
import http.client
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from bench.measure import Server, free_port
from bench.soak.caller import Caller
from bench.soak.cases import API_TOKEN, CASES, CONFIG, Case
from bench.soak.outcome import judge
from bench.soak.watch import Sample, Watch

CONCURRENCY = 64
_SEED = 4
_METRICS_TOKEN = "soak-metrics-0123456789abcdefghijklmnop"
# The upstream closes idle connections after 5 seconds.
_SETTLE_SECONDS = 15.0
_SAMPLES = 200


@dataclass(slots=True)
class Result:
    """What a run has shown.

    Attributes:
        requests: How many were sent.
        seconds: How long they took.
        counts: How often each case had each outcome.
        before: The service before the first.
        after: The service once it had nothing to do any more.
        samples: The service from the first request to the last.
        upstream_open: Calls that the upstream still held open then.
        log_events: Lines of the log at level ``error``, by event.
        examples: The first defect of each kind: its case, outcome and bytes.
    """

    requests: int
    before: Sample
    after: Sample
    seconds: float = 0.0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    upstream_open: int = -1
    log_events: Counter[str] = field(default_factory=Counter)
    examples: dict[tuple[str, str], bytes] = field(default_factory=dict)


def run(requests: int, settings: Mapping[str, str] | None = None) -> Result:
    """Sends requests to a service of its own and watches it.

    Args:
        requests: How many.
        settings: Environment variables of the service besides those of the run.

    Returns:
        What came of it.

    Raises:
        BenchError: The service or the upstream did not start.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "llm-proxy.yaml").write_text(CONFIG)
        upstream_port, port = free_port(), free_port()
        stack.enter_context(_upstream(upstream_port))
        environment = {**_environment(port, upstream_port, folder), **(settings or {})}
        arguments = ["-m", "llm_proxy", "serve"]
        service = stack.enter_context(Server(arguments, port, environment, str(folder)))
        watch = Watch(service.pid, port, upstream_port, _METRICS_TOKEN)
        idle = watch.look(0)
        result = Result(requests, before=idle, after=idle)
        started = time.monotonic()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_send(result, port, watch))
        result.seconds = time.monotonic() - started
        result.after = _settle(watch, result)
        result.upstream_open = _open_calls(upstream_port)
        result.log_events = _errors(folder)
    return result


def _upstream(port: int) -> Server:
    arguments = ["-m", "llm_proxy.providers.sandbox", "--port", str(port)]
    return Server(arguments, port, cpu=1, health="/_sandbox/stats")


def _environment(port: int, upstream_port: int, folder: Path) -> dict[str, str]:
    upstream = f"http://127.0.0.1:{upstream_port}"
    return {
        "PATH": os.environ["PATH"],
        "ENVIRONMENT": "testing",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "API_TOKEN": API_TOKEN,
        "METRICS_TOKEN": _METRICS_TOKEN,
        "LOG_FORMAT": "json",
        "LOG_FILE": str(folder / "log"),
        "LOG_MAX_BYTES": "1000000000000",
        "RATE_LIMIT_ENABLED": "false",
        "AUTH_FAILURE_LIMIT": "1000000000",
        "CACHE_POLICY": "off",
        "REQUEST_TIMEOUT": "5",
        "REQUEST_DEADLINE": "20",
        "RETRY_ATTEMPTS": "2",
        "RETRY_MULTIPLIER": "0",
        "RETRY_MIN_SECONDS": "0",
        "RETRY_MAX_SECONDS": "0.05",
        "RETRY_AFTER_MAX_SECONDS": "0.1",
        "BREAKER_COOLDOWN_SECONDS": "0.5",
        "BODY_TIMEOUT": "1",
        "MAX_RESPONSE_BYTES": "1048576",
        "MAX_V1_BODY_BYTES": "1048576",
        # Soon full, or the memory would grow as long as more is kept.
        "MAX_STORED_BYTES": "4194304",
        "SANDBOX_BASE_URL": f"{upstream}/v1",
        "SANDBOX_API_KEY": "soak",
        "OPENAI_BASE_URL": f"{upstream}/v1",
        "OPENAI_API_KEY": "soak",
        "ANTHROPIC_BASE_URL": upstream,
        "ANTHROPIC_API_KEY": "soak",
        "GEMINI_BASE_URL": f"{upstream}/v1beta",
        "GEMINI_API_KEY": "soak",
        "BEDROCK_BASE_URL": upstream,
        "AWS_BEARER_TOKEN_BEDROCK": "soak",
    }


async def _send(result: Result, port: int, watch: Watch) -> None:
    """Send all requests, and look at the service every now and then."""
    draws = _draws(result.requests)
    callers = [_call(result, draws, port) for _ in range(CONCURRENCY)]
    work = asyncio.gather(*callers)
    step = max(result.requests // _SAMPLES, 1)
    due = 0
    while not work.done():
        sent = result.counts.total()
        if sent >= due:
            result.samples.append(await asyncio.to_thread(watch.look, sent))
            due = sent + step
            _show(sent, result)
        await asyncio.wait({work}, timeout=0.1)
    work.result()
    result.samples.append(watch.look(result.requests))


def _show(sent: int, result: Result) -> None:
    if sys.stderr.isatty():
        megabytes = result.samples[-1].rss_kib // 1024
        print(f"\r{sent}/{result.requests}  {megabytes} MiB", end="", file=sys.stderr)


def _draws(requests: int) -> Iterator[tuple[Case, random.Random]]:
    """Every case in proportion to its weight, in an order that is always the same."""
    chance = random.Random(_SEED)
    weights = [case.weight for case in CASES]
    for _ in range(requests):
        yield chance.choices(CASES, weights)[0], chance


async def _call(
    result: Result, draws: Iterator[tuple[Case, random.Random]], port: int
) -> None:
    caller = Caller(port)
    for case, chance in draws:
        sent = case.draw(chance)
        if case.leave is not None:
            await caller.leave(sent.data, case.leave, chance.random() < 0.5)
            outcome = "left"
        else:
            reply = await caller.ask(sent.data)
            outcome = judge(sent, reply)
            if outcome not in case.outcomes:
                example = b"%d\n%b\n-----\n%b" % (reply.status, sent.data, reply.body)
                result.examples.setdefault((case.name, outcome), example)
        result.counts[case.name, outcome] += 1
    caller.hang_up()


def _settle(watch: Watch, result: Result) -> Sample:
    """Wait until the service has let go of everything, or should have."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        sample = watch.look(result.requests)
        if time.monotonic() > deadline or not (sample.upstream or sample.in_flight):
            return sample
        time.sleep(0.5)


def _open_calls(upstream_port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", upstream_port, timeout=30)
    connection.request("GET", "/_sandbox/stats")
    stats: dict[str, int] = json.loads(connection.getresponse().read())
    connection.close()
    return stats["open"]


def _errors(folder: Path) -> Counter[str]:
    """Count what the service has logged as an error."""
    found: Counter[str] = Counter()
    for file in folder.glob("log*"):
        with file.open("rb") as lines:
            for line in lines:
                if b'"level":"error"' in line or b'"level":"critical"' in line:
                    entry = json.loads(line)
                    found[entry.get("event") or entry.get("message") or "?"] += 1
    return found
