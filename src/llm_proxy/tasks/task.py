"""What a caller of `/webhook` asks for."""

from dataclasses import dataclass
from typing import Literal, get_args

from llm_proxy.errors import InvalidInputError
from llm_proxy.tasks.languages import language_name

TaskType = Literal[
    "summary", "keywords", "sentiment", "entities", "translation", "custom"
]
Source = Literal["email", "meeting", "document", "chat", "other"]

TASK_TYPES: tuple[TaskType, ...] = get_args(TaskType)
SOURCES: tuple[Source, ...] = get_args(Source)


@dataclass(frozen=True, slots=True)
class Task:
    """A text, and what to do with it.

    Attributes:
        prompt: The text; of a custom task, the request itself.
        type: What to do.
        source: Where the text comes from; None says no more than ``other``.
        language: ISO 639-1 code of the language to answer in; None is the text's own.
            A translation has one.
    """

    prompt: str
    type: TaskType = "custom"
    source: Source | None = None
    language: str | None = None

    @classmethod
    def of(
        cls,
        prompt: str,
        *,
        type: str | None = None,
        source: str | None = None,
        language: str | None = None,
    ) -> "Task":
        """Make a task of plain strings, as they come from outside.

        Args:
            prompt: The text.
            type: What to do; None is ``custom``.
            source: Where the text comes from.
            language: ISO 639-1 code, in any case.

        Returns:
            The task.

        Raises:
            InvalidInputError: A value is unknown, or a translation has no language.
        """
        if type is not None and type not in TASK_TYPES:
            raise InvalidInputError(f"type must be one of {', '.join(TASK_TYPES)}")
        if source is not None and source not in SOURCES:
            raise InvalidInputError(f"source must be one of {', '.join(SOURCES)}")
        if language is not None and language_name(language) is None:
            raise InvalidInputError("language must be an ISO 639-1 code such as 'en'")
        if type == "translation" and language is None:
            raise InvalidInputError("language is required when type is 'translation'")
        return cls(
            prompt=prompt,
            type=type or "custom",
            source=source,
            language=language and language.lower(),
        )
