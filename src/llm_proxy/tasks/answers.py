"""Reads what a model answers to a task: takes much, gives exactly what is documented.

Models wrap JSON in prose and fences, write lists instead, or answer in one word. What
can be understood is brought into the one form of its task; the rest is an error.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from llm_proxy.tasks.json_values import json_values
from llm_proxy.tasks.schemas import ENTITY_KINDS, SENTIMENTS
from llm_proxy.tasks.task import Task, TaskType

_MAX_KEYWORDS = 50
_MAX_KEYWORD_LENGTH = 60
_MAX_ENTITIES = 100
_NOTHING_FOUND = "none"

_FENCE = re.compile("`{3,}")
_FENCED = re.compile(r"\A(`{3,})[^\n`]*\n(.*)\n\1\Z", re.DOTALL)
_BULLET = re.compile(r"\s*(?:[-*\u2022\u2013]|\d{1,3}[.)])\s+(.+)")
_INTRODUCTION = re.compile(r"\A[^,;:\n]*:")
_SEPARATOR = re.compile(r"[,;\n]")
_BROKEN_JSON = re.compile(r"[\[{]")
_SENTENCE = re.compile(r"(?:\S+\s+){5}")
_LABEL = re.compile(rf"(?<!not )\b({'|'.join(SENTIMENTS)})\b", re.IGNORECASE)
_SCORE = re.compile(r"(\d{1,3}(?:\.\d{1,9})?) ?%|(\d?\.\d{1,9})")
_KIND_NAMES = {kind: kind for kind in ENTITY_KINDS} | {
    "company": "organization",
    "gpe": "location",
    "loc": "location",
    "norp": "other",
    "org": "organization",
    "organisation": "organization",
    "per": "person",
    "place": "location",
    "time": "date",
}


class UnusableAnswerError(ValueError):
    """A model's answer says nothing that the task asked for."""


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What came of a task.

    Attributes:
        summary: The result as readable text, for every type of task.
        data: The result in the form of its type, as JSON values.
    """

    summary: str
    data: dict[str, Any]


def read_answer(task: Task, text: str) -> TaskResult:
    """Make a result of a model's answer.

    Args:
        task: What the model was asked.
        text: What it answered.

    Returns:
        The result.

    Raises:
        UnusableAnswerError: Nothing can be made of the answer.
    """
    text = _encodable(text).strip()
    if not text:
        raise UnusableAnswerError("the answer is empty")
    return _READERS[task.type](task, text)


def _read_custom(_: Task, text: str) -> TaskResult:
    return TaskResult(text, {"text": text})


def _read_summary(_: Task, text: str) -> TaskResult:
    summary = _unfenced(text)
    return TaskResult(summary, {"summary": summary})


def _read_translation(task: Task, text: str) -> TaskResult:
    translation = _unfenced(text)
    return TaskResult(
        translation, {"translation": translation, "language": task.language}
    )


def _read_keywords(_: Task, text: str) -> TaskResult:
    for value in json_values(text):
        found = value.get("keywords") if isinstance(value, dict) else value or None
        if isinstance(found, str):
            found = _listed(found)
        if isinstance(found, list) and all(isinstance(word, str) for word in found):
            return _keywords(found)
    if not _BROKEN_JSON.search(text) and (words := _listed(_unfenced(text))):
        return _keywords(words)
    raise UnusableAnswerError("the answer has no keywords")


def _keywords(words: Iterable[str]) -> TaskResult:
    unique: dict[str, str] = {}
    for word in map(_line, words):
        if word:
            unique.setdefault(word.casefold(), word)
    keywords = list(unique.values())[:_MAX_KEYWORDS]
    return TaskResult(", ".join(keywords) or _NOTHING_FOUND, {"keywords": keywords})


def _listed(text: str) -> list[str]:
    """Read a list in plain text: bullets, numbers, or words between commas."""
    bullets = [match[1] for match in map(_BULLET.match, text.splitlines()) if match]
    body = "\n".join(bullets) or _INTRODUCTION.sub("", text)
    words = (word.strip(" \t\r\"'`*_.") for word in _SEPARATOR.split(body))
    return [
        word
        for word in words
        if 0 < len(word) <= _MAX_KEYWORD_LENGTH and not _SENTENCE.match(word)
    ]


def _read_sentiment(_: Task, text: str) -> TaskResult:
    for value in json_values(text):
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and (label := _label(item.get("label"))):
                return _sentiment(label, _score(item.get("score")))
    if label := _label(text):
        return _sentiment(label, _score(text))
    raise UnusableAnswerError("the answer has no sentiment")


def _sentiment(label: str, score: float | None) -> TaskResult:
    summary = label if score is None else f"{label} ({score:.2f})"
    return TaskResult(summary, {"label": label, "score": score})


def _label(text: object) -> str | None:
    """The one label that a text names, or the first of several if it begins so."""
    if not isinstance(text, str) or not (first := _LABEL.search(text)):
        return None
    labels = {label.lower() for label in _LABEL.findall(text)}
    begins_so = not any(map(str.isalnum, text[: first.start()]))
    return first[1].lower() if begins_so or len(labels) == 1 else None


def _score(value: object) -> float | None:
    """A number from 0 to 1; on a scale from -1 to 1 its distance from neutral."""
    if isinstance(value, str):
        found = _SCORE.search(value)
        if found is None:
            return None
        value = float(found[1]) / 100 if found[1] else float(found[2])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(abs(value)) if abs(value) <= 1 else None


def _read_entities(_: Task, text: str) -> TaskResult:
    for value in json_values(text):
        found = value.get("entities", [value]) if isinstance(value, dict) else value
        if not isinstance(found, list):
            continue
        entities = list(dict.fromkeys(filter(None, map(_entity, found))))
        if entities or not found:
            return _entities(entities[:_MAX_ENTITIES])
    raise UnusableAnswerError("the answer has no entities")


def _entities(entities: list[tuple[str, str]]) -> TaskResult:
    summary = ", ".join(f"{text} ({kind})" for text, kind in entities)
    return TaskResult(
        summary or _NOTHING_FOUND,
        {"entities": [{"text": text, "kind": kind} for text, kind in entities]},
    )


def _entity(item: object) -> tuple[str, str] | None:
    if not isinstance(item, dict):
        return None
    text = item.get("text", item.get("name"))
    kind = item.get("kind", item.get("type"))
    if not isinstance(text, str) or not (text := _line(text)):
        return None
    name = kind.strip().lower() if isinstance(kind, str) else ""
    return text, _KIND_NAMES.get(name, "other")


def _unfenced(text: str) -> str:
    """Take away the code fence around a whole answer, or a lone one at its end.

    Small models copy the line that closed the text they were given.
    """
    match = _FENCED.match(text)
    if match is None or match[1] in match[2]:
        body, end, fence = text.rpartition("\n")
        is_lone = end and _FENCE.fullmatch(fence) and fence not in body
        return body.rstrip() if is_lone else text
    if not (body := match[2].strip()):
        raise UnusableAnswerError("the answer is empty")
    return body


def _line(text: str) -> str:
    return " ".join(_encodable(text).split())


def _encodable(text: str) -> str:
    """Replace lone surrogates, which JSON can spell and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


_READERS: dict[TaskType, Callable[[Task, str], TaskResult]] = {
    "summary": _read_summary,
    "keywords": _read_keywords,
    "sentiment": _read_sentiment,
    "entities": _read_entities,
    "translation": _read_translation,
    "custom": _read_custom,
}
