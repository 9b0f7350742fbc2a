"""An answer that is kept."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol

import orjson

from llm_proxy.types import Chunk, FinishReason, Usage

# What is longer is not kept.
MAX_BODY_BYTES = 1 << 20

Headers = tuple[tuple[bytes, bytes], ...]

# The first byte of an entry as bytes: which form the rest has.
_FORM = b"\x01"
_OWN_HEADERS = b"x-llm-proxy-"
_COUNTS = tuple(each.name for each in fields(Usage) if each.type is int)


class Account(Protocol):
    """What is known of a call that was answered."""

    @property
    def target(self) -> tuple[str, str]:
        """Who has answered: a provider, and its name of the model."""
        ...

    @property
    def model(self) -> str | None:
        """The model that the upstream says has answered."""
        ...

    @property
    def usage(self) -> Usage:
        """Its tokens."""
        ...

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the answer ended."""
        ...

    @property
    def nanos(self) -> int:
        """What it has cost, in billionths of a US dollar."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer that is kept, and what was said about it.

    Attributes:
        provider: Who has given it.
        model: The provider's name of the model.
        answered_model: The model that the upstream says has answered.
        finish_reason: Why it ended.
        usage: What it took the first time.
        stored_at: When that was, in seconds since the epoch.
        body: The text, as UTF-8; on `/v1` the JSON, or all events of a stream.
        headers: Headers of ours that say how the question was understood.
    """

    provider: str
    model: str
    answered_model: str | None
    finish_reason: FinishReason | None
    usage: Usage
    stored_at: float
    body: bytes
    headers: Headers = ()

    @property
    def text(self) -> str:
        """The body of an answer that is text."""
        return self.body.decode()

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """The same as the pieces of a stream."""
        return (
            Chunk(self.text, model=self.answered_model),
            Chunk(finish_reason=self.finish_reason, usage=self.usage),
        )

    def age_seconds(self, now: float) -> float:
        """Say how old it is.

        Args:
            now: Seconds since the epoch. Clocks of machines differ a little, so it may
                be before `stored_at`.

        Returns:
            Seconds, at least 0.
        """
        return max(0.0, now - self.stored_at)


def make_entry(
    account: Account, body: bytes, headers: Sequence[tuple[bytes, bytes]], now: float
) -> Entry:
    """Put down an answer.

    Args:
        account: What is known of it.
        body: As in `Entry`.
        headers: Of the response, of which only ours are kept: the provider's speak of
            the one request, such as what is left of a limit.
        now: Seconds since the epoch.

    Returns:
        The entry.
    """
    provider, model = account.target
    usage = account.usage
    if usage.reported_cost is not None:
        # That is not what a replay costs.
        usage = replace(usage, reported_cost=None)
    own = tuple(each for each in headers if each[0].startswith(_OWN_HEADERS))
    return Entry(
        provider,
        model,
        account.model,
        account.finish_reason,
        usage,
        now,
        body,
        own,
    )


def encode_entry(entry: Entry) -> bytes:
    """Write an entry for a store that keeps bytes.

    Args:
        entry: The entry.

    Returns:
        Its form, one line of JSON, and the body.
    """
    usage = entry.usage
    head = (
        entry.provider,
        entry.model,
        entry.answered_model,
        entry.finish_reason,
        entry.stored_at,
        usage.source,
        [getattr(usage, name) for name in _COUNTS],
        [
            (name.decode("latin-1"), text.decode("latin-1"))
            for name, text in entry.headers
        ],
    )
    return b"%b%b\n%b" % (_FORM, orjson.dumps(head), entry.body)


def decode_entry(data: bytes) -> Entry | None:
    """Read what `encode_entry` wrote.

    Args:
        data: The bytes.

    Returns:
        The entry; None for what another version may have written.
    """
    if not data.startswith(_FORM):
        return None
    line, _, body = data[len(_FORM) :].partition(b"\n")
    try:
        head = orjson.loads(line)
        provider, model, answered_model, finish_reason, stored_at, *rest = head
        source, counts, headers = rest
        usage = Usage(**dict(zip(_COUNTS, counts, strict=True)), source=source)
        own = tuple(
            (name.encode("latin-1"), text.encode("latin-1")) for name, text in headers
        )
    except (ValueError, TypeError, AttributeError):
        return None
    return Entry(
        provider, model, answered_model, finish_reason, usage, stored_at, body, own
    )
