"""What the documents say is so: examples run, tables agree with the code."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
from botocore.validate import ParamValidator
from prometheus_client.parser import text_string_to_metric_families

from llm_proxy import __version__, errors
from llm_proxy.quickstart import Quickstart
from llm_proxy.settings import Settings
from llm_proxy.telemetry import Metrics

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
PACKAGE = ROOT / "src" / "llm_proxy"
ADDRESS = "http://127.0.0.1:8000"
TOKEN = "a-token-for-the-examples"  # pragma: allowlist secret

EXAMPLES = (
    "README.md",
    "docs/api.md",
    "docs/clients.md",
    "docs/development.md",
    "docs/examples.md",
    "docs/v1.md",
)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = {
    "sh": [shutil.which("sh"), "-c"],
    "python": [sys.executable, "-c"],
    "js": [shutil.which("node"), "-e"],
}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(name: str, title: str) -> str:
    """The part of a document from a heading to the next one of its level."""
    found = re.search(
        rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", read(name), re.MULTILINE | re.S
    )
    assert found, f"{name} has no section {title!r}"
    return found[1]


def examples() -> Iterator[pytest.param]:
    """Every block that calls a service, and the block after it."""
    for name in EXAMPLES:
        text = read(name)
        blocks = list(BLOCK.finditer(text))
        for block, output in zip(blocks, [*blocks[1:], None], strict=True):
            language, code = block.groups()
            if language in COMMANDS and (ADDRESS in code or "create_app" in code):
                line = text.count("\n", 0, block.start()) + 1
                expected = output.groups() if output else None
                yield pytest.param(language, code, expected, id=f"{name}:{line}")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service as `LLM_PROVIDER=sandbox make run` starts it.

    Each example stands for itself, so that none is answered from the cache.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "llm_proxy"],
        env={
            "PATH": os.environ["PATH"],
            "API_TOKEN": TOKEN,
            "LLM_PROVIDER": "sandbox",
            "CACHE_POLICY": "off",
            "PORT": "0",
        },
        cwd=tmp_path_factory.mktemp("service"),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        lines = iter(process.stdout.readline, "")
        found = (re.search(r"running on (http://\S+)", line) for line in lines)
        yield next(filter(None, found))[1]
    finally:
        process.terminate()
        process.communicate(timeout=20)


def masked(text: str) -> str:
    """An answer without what differs with the call and the wording of templates."""
    text = re.sub(r"(req_|chatcmpl-|msg_|resp_)[0-9a-f]{24,32}", r"\1", text)
    return re.sub(r'("(?:processing_time|input_tokens)": ?)[0-9.e-]+', r"\g<1>0", text)


@pytest.mark.integration
@pytest.mark.parametrize(("language", "code", "expected"), list(examples()))
def test_examples_run_and_answer_as_shown(service, language, code, expected):
    tool = "curl" if code.startswith("curl") else COMMANDS[language][0]
    if tool is None or shutil.which(tool) is None:
        pytest.skip(f"{language} examples need a tool that is not here")
    done = subprocess.run(
        [*COMMANDS[language], code.replace(ADDRESS, service)],
        env={"PATH": os.environ["PATH"], "TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert expected is not None, "an example is followed by its output"
    form, output = expected
    assert form in ("json", "text")
    if form == "json":
        assert json.loads(masked(done.stdout)) == json.loads(masked(output))
    else:
        assert masked(done.stdout).strip() == masked(output).strip()


def test_readme_shows_what_a_start_prints():
    settings = Settings(
        api_token="your-token", llm_provider="local", host="127.0.0.1", port=8000
    )
    welcome = Quickstart(settings, "no provider key is set").welcome().strip()

    assert welcome in read("README.md").replace("<your token>", "your-token")


def headings(document: Path) -> set[str]:
    """The fragments that GitHub makes of a document's headings."""
    text = BLOCK.sub("", document.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", title.lower()) for title in titles]
    return {title.replace(" ", "-") for title in plain}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_to_headings_lead_somewhere(document):
    text = document.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)", text)
    targets = [
        ((document.parent / file).resolve() if file else document, fragment)
        for file, fragment in links
    ]

    assert [
        f"{target.name}#{fragment}"
        for target, fragment in targets
        if fragment not in headings(target)
    ] == []


def error_tree(kind: type[errors.APIError]) -> Iterator[type[errors.APIError]]:
    yield kind
    for each in kind.__subclasses__():
        if each.__module__.startswith(errors.__name__):
            yield from error_tree(each)


def test_table_of_errors_is_the_error_tree():
    rows = re.findall(
        r"^\| (\d+) \| `(\w+)` \| (no|later) \| \S.* \|$",
        section("docs/api.md", "Errors"),
        re.MULTILINE,
    )
    tree = {
        (str(kind.status), kind.code, "no" if kind.should_retry is False else "later")
        for kind in error_tree(errors.APIError)
    }

    assert sorted(rows) == sorted(tree)


def test_table_of_refusals_is_what_the_protocol_refuses():
    rows = re.findall(
        r"^\| (\d+) \| `(\w+)` \| (?!no |later )\S.* \|$",
        section("docs/api.md", "Errors"),
        re.MULTILINE,
    )
    source = (PACKAGE / "http_refusal.py").read_text(encoding="utf-8")

    assert sorted(rows) == sorted(re.findall(r'Refusal\(\s*(\d+), "(\w+)"', source))
    assert rows


def test_table_of_metrics_is_what_is_measured():
    rows = re.findall(
        r"^\| `((?:llm|http)_\w+)` \|",
        section("docs/operations.md", "Metrics"),
        re.MULTILINE,
    )
    families = text_string_to_metric_families(Metrics().render().decode())
    names = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in families
    }

    assert sorted(rows) == sorted(
        name for name in names if name.startswith(("llm_", "http_"))
    )


def test_picture_of_the_house_shows_every_file():
    tree = next(
        body
        for language, body in BLOCK.findall(read("docs/architecture.md"))
        if body.startswith("src/llm_proxy/")
    )
    path, shown = [], set()
    for indent, name in re.findall(r"^((?:  )+)(\S+)", tree, re.MULTILINE):
        path[len(indent) // 2 - 1 :] = [name]
        if not name.endswith("/"):
            shown.add("".join(path))
    files = {
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if file.name != "__init__.py"
    }

    assert shown == files


def test_task_definition_is_one_that_aws_accepts():
    definition = next(
        json.loads(body)
        for language, body in BLOCK.findall(read("docs/operations.md"))
        if language == "json" and "containerDefinitions" in body
    )
    model = botocore.session.get_session().get_service_model("ecs")
    shape = model.operation_model("RegisterTaskDefinition").input_shape
    report = ParamValidator().validate(definition, shape)
    container = definition["containerDefinitions"][0]
    given = [*container["environment"], *container["secrets"]]
    values = {entry["name"].lower(): entry.get("value") for entry in given}

    assert report.generate_report() == ""
    assert set(values) <= {*Settings.model_fields}
    assert container["stopTimeout"] > float(values["shutdown_timeout"])


def test_changelog_tells_of_this_version():
    assert re.search(
        rf"^## \[{re.escape(__version__)}\]", read("CHANGELOG.md"), re.MULTILINE
    )


def test_every_decision_is_listed_and_complete():
    folder = ROOT / "docs" / "decisions"
    records = sorted(folder.glob("0*.md"))
    listed = re.findall(
        r"^\| \[(\d{4})\]\(([\w.-]+)\)", read("docs/decisions/README.md"), re.M
    )

    assert listed == [(record.name[:4], record.name) for record in records]
    assert [int(number) for number, _ in listed] == list(range(1, len(records) + 1))
    for record in records:
        text = record.read_text(encoding="utf-8")
        titles = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert titles == ["Context", "Decision", "Consequences"], record.name
