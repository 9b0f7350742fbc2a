"""Turns a task into the prompt that a model reads.

The wording stands in TOML files, one per type of task, which an operator may replace
one by one. Their placeholders are filled in a single pass, so nothing that a caller
writes is ever taken for a placeholder.
"""

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Any

from llm_proxy.settings import ConfigurationError
from llm_proxy.tasks.languages import language_name
from llm_proxy.tasks.schemas import RESPONSE_SCHEMAS
from llm_proxy.tasks.task import SOURCES, TASK_TYPES, Source, Task, TaskType
from llm_proxy.types import ChatRequest, ResponseFormat, said

_MAX_FILE_BYTES = 65_536
_KEYS = ("version", "purpose", "system", "user")
_PLACEHOLDERS = {
    "system": {"language", "source"},
    "user": {"language", "source", "text"},
}
_BACK_TICKS = re.compile("`+")


@dataclass(frozen=True, slots=True)
class TaskTemplate:
    """The wording for one type of task.

    Attributes:
        version: Changes whenever the wording does.
        purpose: What the template is for, in one sentence.
        system: The instructions.
        user: What stands around the caller's text.
    """

    version: str
    purpose: str
    system: Template
    user: Template


@dataclass(frozen=True, slots=True)
class RenderedTask:
    """A task in the words that a model reads.

    Attributes:
        system: The instructions, the same for every text.
        prompt: The user message, with the caller's text between lines of back-ticks.
        version: The template's version.
        response_schema: The JSON schema the answer should obey; None for plain text.
    """

    system: str
    prompt: str
    version: str
    response_schema: Mapping[str, Any] | None

    @property
    def request(self) -> ChatRequest:
        """What a model is asked; one that cannot obey the schema does without it."""
        schema = self.response_schema
        return ChatRequest(
            (said("system", self.system), said("user", self.prompt)),
            response_format=(
                None if schema is None else ResponseFormat(schema, required=False)
            ),
        )


@dataclass(frozen=True, slots=True)
class Templates:
    """The wording of every task.

    Attributes:
        tasks: The template of each type of task.
        sources: What a model is told about each source, as a sentence.
    """

    tasks: Mapping[TaskType, TaskTemplate]
    sources: Mapping[Source, str]

    def render(self, task: Task) -> RenderedTask:
        """Put a task into words.

        Args:
            task: What to do with which text.

        Returns:
            The prompt and the form of the answer.
        """
        template = self.tasks[task.type]
        words = {
            "language": language_name(task.language or "")
            or "the language of the text",
            "source": self.sources[task.source or "other"],
        }
        return RenderedTask(
            system=template.system.substitute(words),
            prompt=template.user.substitute(words, text=_fenced(task.prompt)),
            version=template.version,
            response_schema=RESPONSE_SCHEMAS.get(task.type),
        )


def load_templates(directory: Path | None = None) -> Templates:
    """Read the templates, once, at the start.

    Args:
        directory: Holds files that replace the built-in ones of the same name.

    Returns:
        The templates.

    Raises:
        ConfigurationError: A file cannot be read or does not say what it must.
    """
    files = {
        file.name: file
        for file in (resources.files("llm_proxy.tasks") / "templates").iterdir()
    }
    if directory is not None:
        files |= _overrides(directory, files)
    sources = _read(files["sources.toml"], SOURCES)
    return Templates(
        tasks={type_: _template(files[f"{type_}.toml"]) for type_ in TASK_TYPES},
        sources={source: sources[source] for source in SOURCES},
    )


def _overrides(directory: Path, known: Collection[str]) -> dict[str, Traversable]:
    if not directory.is_dir():
        raise ConfigurationError(f"{directory}: the templates directory does not exist")
    found: dict[str, Traversable] = {
        file.name: file for file in directory.glob("*.toml")
    }
    if unknown := sorted(found.keys() - set(known)):
        raise ConfigurationError(
            f"{directory}: no template is called {', '.join(unknown)}; "
            f"there are {', '.join(sorted(known))}"
        )
    return found


def _template(file: Traversable) -> TaskTemplate:
    texts = _read(file, _KEYS)
    for key, allowed in _PLACEHOLDERS.items():
        template = Template(texts[key])
        if not template.is_valid():
            raise ConfigurationError(f"{file}: {key}: write a lone $ as $$")
        if unknown := sorted(set(template.get_identifiers()) - allowed):
            raise ConfigurationError(
                f"{file}: {key}: unknown placeholder ${unknown[0]}; "
                f"there are {', '.join(f'${name}' for name in sorted(allowed))}"
            )
    if "text" not in Template(texts["user"]).get_identifiers():
        raise ConfigurationError(f"{file}: user: the placeholder $text is missing")
    return TaskTemplate(
        version=texts["version"],
        purpose=texts["purpose"],
        system=Template(texts["system"]),
        user=Template(texts["user"]),
    )


def _read(file: Traversable, keys: Collection[str]) -> dict[str, str]:
    """Read a TOML file that has these keys and no others, all with text."""
    try:
        with file.open("rb") as stream:
            content = stream.read(_MAX_FILE_BYTES + 1)
        if len(content) > _MAX_FILE_BYTES:
            raise ConfigurationError(f"{file}: more than {_MAX_FILE_BYTES} bytes")
        table = tomllib.loads(content.decode())
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{file}: {error}") from None
    if unknown := sorted(table.keys() - set(keys)):
        raise ConfigurationError(f"{file}: unknown key {unknown[0]}")
    for key in keys:
        if not isinstance(table.get(key), str) or not table[key].strip():
            raise ConfigurationError(f"{file}: {key} must be text")
    return {key: table[key].strip() for key in keys}


def _fenced(text: str) -> str:
    """Delimit a text by a line of back-ticks longer than any it has itself."""
    longest = max(map(len, _BACK_TICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
