"""Snapshots stand in snapshots/; UPDATE_SNAPSHOTS=1 pytest tests/tasks writes them."""

import os
import re
from itertools import product
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.settings import ConfigurationError
from llm_proxy.tasks import Source, Task, TaskType, load_templates

SNAPSHOTS = Path(__file__).with_name("snapshots")
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "tasks.md"
TEXT = 'See `this` and ```that```, {0.__class__}, $language, ${source}, %s "quoted"'
TYPES = get_args(TaskType)
TEMPLATE = """
version = "9"
purpose = "A test."
system = "In $language. $source Costs $$5."
user = "Do $text now"
"""


def rendered(type_: TaskType, source: Source, language: str | None) -> str:
    task = load_templates().render(Task(TEXT, type_, source, language))
    return (
        f"##### {source}, {language}, version {task.version}\n"
        f"----- system\n{task.system}\n----- user\n{task.prompt}\n"
    )


@pytest.mark.parametrize("type_", TYPES)
def test_the_wording_is_the_recorded_one(type_):
    languages = ("de",) if type_ == "translation" else (None, "de")
    text = "\n".join(
        rendered(type_, *pair) for pair in product(get_args(Source), languages)
    )
    snapshot = SNAPSHOTS / f"{type_}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        snapshot.write_text(text, encoding="utf-8")

    assert text == snapshot.read_text(encoding="utf-8")


@pytest.mark.parametrize("type_", ["summary", "keywords", "translation", "custom"])
def test_the_language_is_named(type_):
    task = load_templates().render(Task("hi", type_, language="DE"))

    assert "German" in task.system


@pytest.mark.parametrize("type_", TYPES)
def test_the_source_is_told_and_none_is_any(type_):
    templates = load_templates()

    assert "meeting" in templates.render(Task("hi", type_, "meeting", "en")).system
    assert templates.render(Task("hi", type_, None, "en")) == templates.render(
        Task("hi", type_, "other", "en")
    )


@pytest.mark.parametrize("type_", TYPES)
def test_the_system_text_does_not_depend_on_the_prompt(type_):
    templates = load_templates()

    first = templates.render(Task("one", type_, language="en"))
    second = templates.render(Task("$language ```", type_, language="en"))

    assert first.system == second.system


@given(st.text(alphabet="`\n $a{}", min_size=1) | st.text(min_size=1))
def test_a_text_stays_as_it_is_between_delimiters_it_cannot_write(text):
    prompt = load_templates().render(Task(text, "summary")).prompt

    fence = re.search(r"^(`{3,})\n", prompt, re.MULTILINE)[1]
    assert prompt.endswith(f"\n{fence}\n{text}\n{fence}")
    assert fence not in text


@pytest.mark.parametrize(
    ("type_", "keys"),
    [
        ("keywords", ["keywords"]),
        ("sentiment", ["label", "score"]),
        ("entities", ["entities"]),
    ],
)
def test_answers_that_are_data_have_a_schema_and_the_prompt_says_so(type_, keys):
    task = load_templates().render(Task("hi", type_))

    assert list(task.response_schema["properties"]) == keys
    assert all(f'"{key}"' in task.system for key in keys)


@pytest.mark.parametrize("type_", ["summary", "translation", "custom"])
def test_answers_in_plain_text_have_none(type_):
    task = load_templates().render(Task("hi", type_, language="en"))

    assert task.response_schema is None


def test_a_directory_replaces_single_files(tmp_path):
    (tmp_path / "summary.toml").write_text(TEMPLATE)
    (tmp_path / "README.md").write_text("why we do this")
    templates = load_templates(tmp_path)

    task = templates.render(Task("hi", "summary", "email", "fr"))

    assert task.system == "In French. The text is an e-mail. Costs $5."
    assert task.prompt == "Do ```\nhi\n``` now"
    assert task.version == "9"
    assert templates.render(Task("hi")) == load_templates().render(Task("hi"))


def test_a_directory_replaces_the_sources(tmp_path):
    (tmp_path / "sources.toml").write_text(
        "\n".join(f'{source} = "From {source}: $5."' for source in get_args(Source))
    )

    task = load_templates(tmp_path).render(Task("hi", "summary", "chat"))

    assert "From chat: $5." in task.system


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("version = ", "Invalid value"),
        ('version = "1"', "purpose must be text"),
        (TEMPLATE.replace('"9"', "9"), "version must be text"),
        (TEMPLATE.replace('"A test."', '" "'), "purpose must be text"),
        (TEMPLATE + 'extra = "x"', "unknown key extra"),
        (TEMPLATE.replace("$source", "$sauce"), r"unknown placeholder \$sauce"),
        (TEMPLATE.replace("$source", "$text"), r"unknown placeholder \$text"),
        (TEMPLATE.replace("$$5", "$5"), r"write a lone \$ as \$\$"),
        (TEMPLATE.replace("$text", "it"), r"\$text is missing"),
        (TEMPLATE + "#" * 65_536, "more than 65536 bytes"),
        (TEMPLATE + "x = " + "[" * 5_000, "recursion"),
        (b"\xff", "utf-8"),
    ],
)
def test_a_broken_file_is_named_with_its_problem(tmp_path, content, problem):
    content = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "summary.toml").write_bytes(content)

    with pytest.raises(ConfigurationError, match=rf"summary\.toml: .*{problem}"):
        load_templates(tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "summary.toml").mkdir()

    with pytest.raises(ConfigurationError, match=r"summary\.toml: Is a directory"):
        load_templates(tmp_path)


def test_a_file_that_replaces_nothing_is_refused(tmp_path):
    (tmp_path / "sumary.toml").write_text(TEMPLATE)

    with pytest.raises(ConfigurationError, match=r"sumary\.toml; there are .*summary"):
        load_templates(tmp_path)


def test_a_directory_must_exist(tmp_path):
    with pytest.raises(ConfigurationError, match="does not exist"):
        load_templates(tmp_path / "missing")


def test_the_documentation_lists_every_task_with_its_purpose():
    text = DOCUMENTATION.read_text(encoding="utf-8")

    for name, template in load_templates().tasks.items():
        assert f"| `{name}` | {template.purpose} |" in text
