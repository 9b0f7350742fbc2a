"""What the soak sends: one row per case, with all outcomes that are right."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from bench.soak.caller import Leave
from bench.soak.roads import (
    ALIASES,
    ALL,
    NATIVE,
    RELAYS,
    RESPONSES,
    REVOKED,
    TRANSLATIONS,
    V1,
    Road,
)

API_TOKEN = "soak-0123456789abcdefghijklmnopqrstuvwxyz"
PLAIN = (False,)
STREAM = (True,)
BOTH = (False, True)
_LONG = "It was a bright cold day in April. " * 1_700
_WHOLE = frozenset({"whole"})


@dataclass(frozen=True, slots=True)
class Sent:
    """One request of a case.

    Attributes:
        data: All of its bytes.
        road: How the answer has to be read.
        stream: Whether it asks for a stream.
        proof: What stands in a whole answer.
    """

    data: bytes
    road: Road
    stream: bool
    proof: bytes


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of request.

    Attributes:
        name: What it is.
        weight: Its share of the run, relative to the others.
        outcomes: All that may come of it; see `bench.soak.outcome`.
        model: The model to ask.
        roads: How to ask; one of them is drawn each time.
        streams: Whether to stream; one of them is drawn each time.
        proof: What stands in a whole answer; None for a word of the question.
        text: What is asked besides that word.
        fields: What the body has besides.
        tools: Whether tools are offered.
        leave: When the caller hangs up.
        token: The caller's token.
        method: The HTTP method.
        path: Where to send it; None for the surface's.
        body: The body; None for a question.
        cut: Whether the caller falls silent in the middle of the body.
    """

    name: str
    weight: int
    outcomes: frozenset[str] = _WHOLE
    model: str = "sandbox"
    roads: tuple[Road, ...] = ALL
    streams: tuple[bool, ...] = BOTH
    proof: str | None = None
    text: str = "is the word. What do you make of it?"
    fields: Mapping[str, object] = field(default_factory=dict)
    tools: bool = False
    leave: Leave | None = None
    token: str = API_TOKEN
    method: str = "POST"
    path: str | None = None
    body: bytes | None = None
    cut: bool = False

    def draw(self, random: Random) -> Sent:
        """Returns one request.

        Args:
            random: Where chance comes from.
        """
        road = random.choice(self.roads)
        stream = random.choice(self.streams)
        # Letters only: what looks like a number might be redacted.
        word = "".join(random.choices("bcdfghjklmnpqrstvwxz", k=12))
        body = self.body
        if body is None:
            more = {**self.fields, **(road.surface.tools if self.tools else {})}
            if stream:
                more["stream"] = True
            body = road.question(self.model, f"{word} {self.text}", **more)
        head = (
            f"{self.method} {self.path or road.surface.path} HTTP/1.1\r\n"
            "host: 127.0.0.1\r\ncontent-type: application/json\r\n"
            f"authorization: Bearer {self.token}\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        ).encode()
        sent = body[: len(body) // 2] if self.cut else body
        proof = word if self.proof is None else self.proof
        return Sent(head + sent, road, stream, proof.encode())


def _any(*outcomes: str) -> frozenset[str]:
    return frozenset(outcomes)


def _fault(
    model: str,
    outcomes: frozenset[str],
    streams: tuple[bool, ...] = BOTH,
    weight: int = 3,
    roads: tuple[Road, ...] = ALL,
) -> Case:
    return Case(model, weight, outcomes, model, roads, streams, proof="")


_HEALTHY = (
    Case("native, plain", 90, roads=NATIVE, streams=PLAIN),
    Case("native, streamed", 60, roads=NATIVE, streams=STREAM),
    Case("relayed, plain", 90, roads=RELAYS, streams=PLAIN),
    Case("relayed, streamed", 60, roads=RELAYS, streams=STREAM),
    Case("translated, plain", 60, roads=TRANSLATIONS, streams=PLAIN),
    Case("translated, streamed", 40, roads=TRANSLATIONS, streams=STREAM),
    Case("100 chunks", 30, model="chunks-100", streams=STREAM, proof="100 "),
    Case("tools", 30, model="tool-calls", roads=V1, tools=True, proof="forecast"),
    Case("two tools", 15, model="parallel-tools", roads=V1, tools=True, proof=""),
    Case("thoughts", 15, model="reasoning"),
    Case("a long prompt", 15, roads=V1, text=_LONG),
    Case("a long answer", 8, model="echo-request", roads=V1, text=_LONG),
    Case(
        "kept",
        20,
        roads=(Road(RESPONSES, "openai"), Road(RESPONSES, "anthropic")),
        fields={"store": True},
    ),
    Case(
        "kept, with a long prompt",
        10,
        roads=(Road(RESPONSES, "openai"), Road(RESPONSES, "anthropic")),
        fields={"store": True},
        text=_LONG,
    ),
    Case("seven bytes at a time", 4, model="split-bytes"),
    Case("comments in the stream", 8, model="noisy-stream", streams=STREAM),
    Case("no usage", 8, model="missing-usage"),
    Case("absurd usage", 4, model="huge-usage"),
    Case("slow first token", 6, model="slow-first-token-200"),
    Case("slow stream", 6, model="slow-stream-20", streams=STREAM),
    Case("refusal", 8, model="refusal", proof=""),
    Case("length", 8, model="length", proof=""),
)
_MISTAKES = (
    Case("malformed JSON", 10, _any("400"), body=b'{"model": "sandbox", '),
    Case("a body that is no object", 5, _any("400"), body=b"[]"),
    Case("no fields", 10, _any("400"), body=b"{}"),
    Case("an empty body", 5, _any("400"), body=b""),
    Case("a prompt that is too long", 8, _any("400"), roads=NATIVE, text=_LONG),
    Case("a wrong token", 20, _any("401"), token="wrong-0123456789abcdefghijklmno"),
    Case("an unknown model", 10, _any("404"), model="no-such-model", roads=V1),
    Case("an unknown path", 10, _any("404"), path="/v1/nowhere"),
    Case("a wrong method", 5, _any("405"), method="PUT", body=b""),
    Case("half a body, then silence", 3, _any("408"), cut=True),
    Case("tools for a model without", 3, _any("400"), roads=NATIVE, body=b'{"a":1}'),
)
# Callers of Anthropic's surface hear of overload as Anthropic says it.
_DOWN = _any("502", "503", "529")
_CREDENTIALS = _any("502", "503")
_FAULTS = (
    _fault("fault-400", _any("400")),
    _fault("fault-401", _CREDENTIALS, roads=REVOKED),
    _fault("fault-403", _CREDENTIALS, roads=REVOKED),
    _fault("fault-404", _any("400", "404", "502")),
    _fault("fault-408", _DOWN),
    _fault("fault-409", _DOWN),
    _fault("fault-413", _any("400", "413")),
    _fault("fault-422", _any("400", "422")),
    _fault("fault-500", _DOWN),
    _fault("fault-502", _DOWN),
    _fault("fault-503", _DOWN),
    _fault("fault-504", _DOWN | {"504"}),
    _fault("fault-529", _DOWN),
    _fault("fault-400-context-length", _any("400")),
    _fault("fault-no-credit", _CREDENTIALS | {"429"}, roads=REVOKED),
    _fault("fault-429", _any("502", "503", "429")),
    _fault("fault-429-retry-after-1", _any("502", "503", "429")),
    _fault("fault-429-retry-after-ms-5", _any("502", "503", "429")),
    _fault("fault-429-retry-after-absurd", _any("502", "503", "429")),
    _fault("fault-no-response", _DOWN),
    _fault("fault-hang", _any("503", "504")),
    _fault("fault-stalled", _any("503", "504"), PLAIN),
    _fault("fault-stalled", _any("503", "504", "broken"), STREAM),
    _fault("fault-cut", _DOWN, PLAIN),
    _fault("fault-cut", _DOWN | {"broken"}, STREAM),
    _fault("fault-no-finish", _any("502", "503", "whole"), PLAIN),
    _fault("fault-no-finish", _any("502", "503", "broken"), STREAM),
    _fault("fault-malformed", _any("502", "503"), PLAIN),
    _fault("fault-malformed", _any("502", "503", "broken"), STREAM),
    _fault("fault-first-event-error", _DOWN, STREAM),
    _fault("fault-mid-stream-error", _DOWN | {"broken"}, STREAM),
    _fault("fault-200-error", _DOWN),
    _fault("fault-null-content", _any("502", "503", "whole", "broken")),
    _fault("fault-empty-content", _any("502", "503", "whole", "broken")),
    _fault("fault-content-filter", _any("502", "whole", "broken")),
    _fault("fault-html", _any("502", "503")),
    _fault("fault-content-type", _any("502", "503")),
    _fault("fault-empty-body", _any("502", "503")),
    _fault("fault-invalid-utf8", _any("502", "503", "broken")),
    # An event of a relayed response may have 16 MiB.
    _fault("fault-huge-2", _any("502", "503", "whole"), weight=1),
    _fault("fault-gzip-bomb-2", _any("502", "503"), weight=1),
    _fault("fault-redirect", _any("502", "503")),
    # We ask for uncompressed answers.
    _fault("gzip", _any("502", "503")),
    # In a crowd of failures a cool-down begins, or no retry is left.
    Case("flaky-1", 10, _DOWN | {"whole"}, "flaky-1"),
)
_RESCUES = (
    Case("alias", 15, model="spread", roads=ALIASES),
    Case("rescued from 503", 10, model="from-503", roads=ALIASES),
    Case("rescued from silence", 6, model="from-silence", roads=ALIASES),
    Case("rescued from a cut", 6, model="from-a-cut", roads=ALIASES, streams=PLAIN),
    Case("rescued from 429", 6, model="from-429", roads=ALIASES),
    Case("beyond rescue", 6, _DOWN, "hopeless", ALIASES),
)


def _left(when: Leave, model: str, streams: tuple[bool, ...], weight: int) -> Case:
    kind = "streamed" if streams == STREAM else "plain"
    return Case(
        f"left {when.value}, {kind}",
        weight,
        _any("left"),
        model,
        streams=streams,
        leave=when,
    )


_HANG_UPS = (
    _left(Leave.IN_HEAD, "sandbox", PLAIN, 8),
    _left(Leave.IN_BODY, "sandbox", PLAIN, 8),
    _left(Leave.AT_ONCE, "sandbox", PLAIN, 8),
    _left(Leave.AT_ONCE, "sandbox", STREAM, 8),
    _left(Leave.SOON, "slow-first-token-1000", PLAIN, 15),
    _left(Leave.SOON, "slow-first-token-1000", STREAM, 15),
    _left(Leave.SOON, "fault-hang", PLAIN, 5),
    _left(Leave.MIDDLE, "slow-stream-20", STREAM, 15),
    _left(Leave.MIDDLE, "fault-stalled", STREAM, 5),
)

CASES = (*_HEALTHY, *_MISTAKES, *_FAULTS, *_RESCUES, *_HANG_UPS)
"""A new feature is a new row."""

CONFIG = """\
providers:
  revoked: {api: openai, base_url: "${SANDBOX_BASE_URL}", api_key: "${SANDBOX_API_KEY}"}
  revoked-too:
    {api: anthropic, base_url: "${SANDBOX_BASE_URL}", api_key: "${SANDBOX_API_KEY}"}
models:
  spread:
    deployments:
      - {model: openai/sandbox, weight: 3}
      - {model: anthropic/sandbox}
  from-503:
    deployments: [{model: openai/fault-503}]
    fallbacks: [anthropic/sandbox]
    retries: 1
  from-silence:
    deployments: [{model: openai/fault-hang}]
    fallbacks: [gemini/sandbox]
    timeouts: {first_token: 2.0}
  from-a-cut:
    deployments: [{model: anthropic/fault-cut}]
    fallbacks: [sandbox/sandbox]
    retries: 0
  from-429:
    deployments: [{model: bedrock/fault-429}]
    fallbacks: [spread]
    retries: 0
  hopeless:
    deployments: [{model: openai/fault-503}]
    fallbacks: [anthropic/fault-529, gemini/fault-500]
    retries: 1
"""
"""The llm-proxy.yaml of the service, with the aliases of the rows."""
