"""Programs as people write them with the vendors' SDKs."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from tests.clients.wiretap import Sandbox, Wiretap

Fields = Mapping[str, Any]

# What differs from one answer to the next, and what SDKs add to what they heard.
_INCIDENTAL = frozenset(
    (
        *("id", "call_id", "item_id", "created", "created_at", "completed_at"),
        *("index", "parsed", "parsed_arguments", "parsed_output"),
    )
)
# Proofs of which every answer has its own.
_PROOFS = frozenset(("signature", "thought_signature", "encrypted_content"))
# What a model can do is told from its name where one provider has several vendors'.
_FAMILIES = {"gemini": "gemini-3-flash.", "bedrock": "anthropic.claude-sonnet-4-5."}


class RefusedError(Exception):
    """The service says that the provider cannot do it."""


class DroppedError(Exception):
    """The service answers, and names what it has left out."""


class BrokenOffError(Exception):
    """The stream has ended with an event that says so, at which no SDK raises."""


class Call(NamedTuple):
    """A tool call; the arguments are JSON, or the text of a custom tool."""

    id: str
    name: str
    arguments: Any


class Tokens(NamedTuple):
    """Usage; the input is with cached tokens, the output with thoughts."""

    input: int
    output: int
    cached: int = 0
    thoughts: int = 0


@dataclass(frozen=True)
class Told:
    """What an SDK made of an answer, in words that all dialects share.

    Attributes:
        ending: The vendor's word for why it ended.
        refused: Whether the model or a filter did not want to answer.
        turn: What a program sends back in its next request.
        whole: All of it but ids and dates, for comparisons.
        deltas: How many pieces of content have come, if it was streamed.
    """

    ending: str
    turn: Sequence[Any]
    whole: Any
    text: str = ""
    refusal: str = ""
    refused: bool = False
    thoughts: str = ""
    calls: Sequence[Call] = ()
    tokens: Tokens | None = None
    logprobs: Sequence[Any] = ()
    choices: int = 1
    stop_sequence: str | None = None
    deltas: int = field(default=0, compare=False)


class Program(ABC):
    """A program that talks to one provider.

    Args:
        sdk: The vendor's SDK.
        provider: The provider's name.
        wiretap: Sees what the SDK sends and gets.
        upstream: What the provider talks to.
    """

    dialect: ClassVar[str]

    def __init__(
        self, sdk: Any, provider: str, wiretap: Wiretap, upstream: Sandbox
    ) -> None:
        self.sdk = sdk
        self.provider = provider
        self.wiretap = wiretap
        self.upstream = upstream

    def ask(self, model: str = "sandbox", **fields: Any) -> Told:
        """Asks plainly and streamed, and demands the same of both.

        Raises:
            RefusedError: Both were refused as something the provider cannot do.
            DroppedError: Both were answered without something that was asked.
        """
        fields["model"] = model_at(self.provider, model)
        outcomes, dropped = [], []
        for ask in (self.plain, self.stream):
            try:
                outcomes.append(ask(fields))
            except self.bad_request as error:
                if self.code_of(error) != "unsupported_feature":
                    raise
                outcomes.append(str(error))
            dropped.append(self.wiretap.dropped)
        plain, streamed = outcomes
        if isinstance(plain, str) and isinstance(streamed, str):
            raise RefusedError(plain)
        if plain.refused:
            # A stream can tell at its end only that what it has told was a refusal.
            assert streamed.refused
            assert streamed.text + streamed.refusal == plain.text + plain.refusal
        else:
            assert streamed.whole == plain.whole
        assert dropped[0] == dropped[1]
        if dropped[0]:
            raise DroppedError(", ".join(sorted(dropped[0])))
        return streamed

    @property
    @abstractmethod
    def bad_request(self) -> type[Exception]:
        """What the SDK raises at status 400."""

    @abstractmethod
    def code_of(self, error: Exception) -> str | None:
        """The code that a program tells errors by."""

    @abstractmethod
    def plain(self, fields: Fields) -> Told:
        """Asks for an answer at once."""

    @abstractmethod
    def stream(self, fields: Fields) -> Told:
        """Asks for an answer in events, and lets the SDK put it together."""

    @abstractmethod
    def says(self, *content: Any) -> dict[str, Any]:
        """The field for a conversation of one turn: a text, or parts."""

    @abstractmethod
    def goes_on(self, fields: Fields, told: Told, *turns: Any) -> dict[str, Any]:
        """The same request with an answer and further turns at its end."""

    @abstractmethod
    def result(self, call: Call, text: str) -> Any:
        """A turn, or a part of one, with the result of a tool."""


def model_at(provider: str, model: str) -> str:
    """The name by which a provider's callers ask for one of the sandbox's models."""
    return f"{provider}/{_FAMILIES.get(provider, '')}{model}"


def essence(value: Any) -> Any:
    """What an SDK's object says, without what is incidental, empty or missing."""
    if isinstance(value, Mapping):
        said = {
            name: essence_of(name, inner)
            for name, inner in value.items()
            if name not in _INCIDENTAL
        }
        return {
            name: inner for name, inner in said.items() if inner not in (None, [], "")
        }
    if isinstance(value, list):
        return [essence(inner) for inner in value]
    return value


def essence_of(name: str, value: Any) -> Any:
    """The same of one field: JSON in any spelling, and that there is a proof."""
    if name == "arguments" and value:
        return json.loads(value)
    return bool(value) or None if name in _PROOFS else essence(value)
