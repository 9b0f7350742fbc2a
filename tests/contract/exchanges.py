"""Recorded exchanges, read from `fixtures`; README.md says what stands where."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from tests.contract.frames import MEDIA_TYPE, write_frames

FIXTURES = Path(__file__).parent / "fixtures"
_BESIDES_EXCHANGES = ("errors",)


@dataclass(frozen=True)
class Head:
    """The lines before the body: the first one, and the headers in lower case."""

    first: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Recording:
    """One HTTP message.

    Attributes:
        head: What stands before the body.
        body: The bytes as they travel.
    """

    head: Head
    body: bytes

    @property
    def status(self) -> int:
        """The status, if it is a response."""
        return int(self.head.first.split()[1])

    @property
    def url(self) -> str:
        """The whole URL, if it is a request."""
        return self.head.first.split()[1]

    @property
    def media_type(self) -> str:
        """What the body claims to be."""
        return self.head.headers.get("content-type", "").partition(";")[0]

    @property
    def is_stream(self) -> bool:
        """Whether it is an answer to somebody who wants a stream."""
        return self.media_type in ("text/event-stream", MEDIA_TYPE)


@dataclass(frozen=True)
class Contract:
    """What is known of one provider, or of one of a provider's addresses.

    Attributes:
        name: Its directory.
        facts: What its ``provider.json`` says.
    """

    name: str
    facts: dict[str, Any] = field(hash=False)

    @property
    def provider(self) -> str:
        """The name in the registry."""
        return self.facts.get("provider", self.name)

    @property
    def model(self) -> str:
        """The upstream's name of the model that is asked."""
        return self.facts["model"]

    @property
    def dialect(self) -> str:
        """The callers' dialect that the upstream speaks; empty if it is its own."""
        return self.facts.get("dialect", "openai_chat")

    @property
    def key(self) -> str:
        """The provider key, wherever one is sent."""
        return f"key-of-{self.provider}" if "key_from" in self.facts else ""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that an operator would set."""
        key = {self.facts["key_from"]: self.key} if self.key else {}
        return {**self.facts.get("environment", {}), **key}

    @property
    def exchanges(self) -> Iterator["Exchange"]:
        """What was asked and answered, one per directory, its own or a shared one."""
        names = {
            each.name
            for directory in self._directories
            for each in directory.iterdir()
            if each.is_dir() and each.name not in _BESIDES_EXCHANGES
        }
        return (Exchange(self, name) for name in sorted(names))

    @property
    def failures(self) -> Iterator["Failure"]:
        """What was answered in the place of an answer."""
        expected: dict[str, Any] = {}
        for directory in reversed(self._directories):
            if (file := directory / "errors" / "expected.json").exists():
                expected |= json.loads(file.read_text(encoding="utf-8"))
        return (Failure(self, name, expected[name]) for name in sorted(expected))

    def find(self, path: str) -> Path | None:
        """Find a file in its own directory, else in the shared one."""
        files = (directory / path for directory in self._directories)
        return next(filter(Path.exists, files), None)

    def read(self, path: str, **words: str) -> Recording | None:
        """Read a recorded message, with its own words in the place of ``{model}``.

        Args:
            path: The file.
            words: What stands for others of the words in braces.

        Returns:
            The message; None if nobody has recorded it.
        """
        file = self.find(path)
        if file is None:
            return None
        text = file.read_bytes()
        if not self.key:
            text = text.replace(b"{auth}\n", b"")
        for word, value in (self._words | words).items():
            text = text.replace(b"{%b}" % word.encode(), value.encode())
        return _parse(text)

    @property
    def _words(self) -> dict[str, str]:
        facts = self.facts
        return {
            "auth": facts.get("auth", "authorization: Bearer {key}"),
            "url": facts["url"],
            "model": self.model,
            "key": self.key,
            "max_tokens": facts.get("max_tokens", "max_tokens"),
        }

    @cached_property
    def _directories(self) -> list[Path]:
        """Its own directory, and those that it shares with others."""
        directories = [FIXTURES / self.name]
        facts = self.facts
        while shared := facts.get("shares"):
            directories.append(FIXTURES / shared)
            facts = _facts(directories[-1])
        return directories


@dataclass(frozen=True)
class Exchange:
    """A question, and the same answer whole and streamed, or one of them."""

    contract: Contract
    name: str

    @property
    def expected(self) -> dict[str, Any]:
        """What ``expected.json`` says."""
        file = self.contract.find(f"{self.name}/expected.json")
        assert file is not None, f"{self.contract.name}/{self.name}/expected.json"
        text = file.read_text(encoding="utf-8").replace("{model}", self.contract.model)
        return json.loads(text)

    @property
    def dialect(self) -> str:
        """The callers' dialect in which it is relayed; empty if it never is."""
        return self.expected.get("dialect", self.contract.dialect)

    @property
    def is_translated(self) -> bool:
        """Whether it is in the dialect that questions are translated to."""
        return "question" in self.expected

    def request(self, *, stream: bool, **words: str) -> Recording | None:
        """Read what was asked."""
        return self._read("request.http", stream=stream, **words)

    def response(self, *, stream: bool) -> Recording | None:
        """Read what was answered."""
        return self._read("response.http", stream=stream)

    def _read(self, name: str, *, stream: bool, **words: str) -> Recording | None:
        prefix = "stream." if stream else ""
        return self.contract.read(f"{self.name}/{prefix}{name}", **words)


@dataclass(frozen=True)
class Failure:
    """An error of an upstream, and what is made of it."""

    contract: Contract
    name: str
    expected: dict[str, Any]

    @property
    def response(self) -> Recording:
        """Read what was answered."""
        recording = self.contract.read(f"errors/{self.name}.http")
        assert recording is not None, f"{self.contract.name}/errors/{self.name}.http"
        return recording


@cache
def contracts() -> list[Contract]:
    """Read all of them."""
    directories = sorted(each for each in FIXTURES.iterdir() if each.is_dir())
    known = ((directory.name, _facts(directory)) for directory in directories)
    return [Contract(name, facts) for name, facts in known if facts]


def _facts(directory: Path) -> dict[str, Any]:
    """Read what is known of a provider; nothing if it is a directory of many."""
    file = directory / "provider.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def _parse(text: bytes) -> Recording:
    head, _, body = text.partition(b"\n\n")
    first, *lines = head.decode("ascii").splitlines()
    pairs = (line.split(": ", 1) for line in lines)
    headers = {name.lower(): value for name, value in pairs}
    if headers.get("content-type") == MEDIA_TYPE:
        body = write_frames(body.decode())
    return Recording(Head(first, headers), body)
