"""The rules of the house that no linter knows."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "llm_proxy"
FILES = sorted(PACKAGE.rglob("*.py"))
TREES = {file: ast.parse(file.read_text(encoding="utf-8")) for file in FILES}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def nodes(*kinds: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """All nodes of some kinds, each with the place to look."""
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, kinds):
                yield f"{file.relative_to(ROOT)}:{node.lineno} {node.name}", node


def lines(node: ast.AST) -> int:
    return node.end_lineno - node.lineno + 1


def test_files_are_short():
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines())
        for file in FILES
    }

    assert lengths
    assert {name: length for name, length in lengths.items() if length > 300} == {}


@pytest.mark.parametrize(
    ("kinds", "limit"),
    [((ast.FunctionDef, ast.AsyncFunctionDef), 50), ((ast.ClassDef,), 300)],
    ids=["functions", "classes"],
)
def test_functions_and_classes_are_short(kinds, limit):
    lengths = {place: lines(node) for place, node in nodes(*kinds)}

    assert lengths
    assert {place: size for place, size in lengths.items() if size > limit} == {}


def is_undescribed(node: Function) -> bool:
    text = ast.get_docstring(node) or ""
    takes = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    gives = ast.unparse(node.returns) not in ("None", "Never", "NoReturn")
    return (bool(takes) and "Args:" not in text) or (
        gives and not re.search(r"\b(Returns|Yields)\b", text)
    )


def test_public_functions_say_what_they_take_and_give():
    # A route's docstring is shown to readers of the API, to whom its arguments mean
    # nothing.
    public = {
        f"{file.relative_to(ROOT)}:{node.lineno} {node.name}": node
        for file, tree in TREES.items()
        if not file.is_relative_to(PACKAGE / "api")
        for node in tree.body
        if isinstance(node, Function) and not node.name.startswith("_")
    }

    assert public
    assert [place for place, node in public.items() if is_undescribed(node)] == []


def bases(root: Path) -> dict[str, list[str]]:
    return {
        node.name: [ast.unparse(base).split(".")[-1] for base in node.bases]
        for file, tree in TREES.items()
        if file.is_relative_to(root)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }


def depth_below(ancestor: str, name: str, known: dict[str, list[str]]) -> int | None:
    """Steps of inheritance from a class up to an ancestor; None if it is not one."""
    if name == ancestor:
        return 0
    steps = [depth_below(ancestor, base, known) for base in known.get(name, ())]
    found = [step for step in steps if step is not None]
    return max(found) + 1 if found else None


def test_providers_inherit_in_at_most_two_steps():
    known = bases(PACKAGE / "providers")
    depths = {name: depth_below("LLMProvider", name, known) for name in known}
    providers = {name: depth for name, depth in depths.items() if depth}

    assert providers
    assert {name: depth for name, depth in providers.items() if depth > 2} == {}


IMPORT_ALL = """
import importlib, pkgutil, llm_proxy
for module in pkgutil.walk_packages(llm_proxy.__path__, "llm_proxy."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
        print(module.name)
"""


def test_every_module_can_be_imported_without_an_environment(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_ALL],
        env={},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    imported = {name.removeprefix("llm_proxy.") for name in done.stdout.split()}
    assert {"errors", "settings", "main", "telemetry.logs"} <= imported
    assert list(tmp_path.iterdir()) == []


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-C", str(ROOT), *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


needs_git = pytest.mark.skipif(
    git("rev-parse").returncode != 0, reason="not a git checkout"
)


@needs_git
@pytest.mark.parametrize(
    ("name", "ignored"),
    [
        (".env", True),
        (".env.production", True),
        (".env.example", False),
        (".llm-proxy/api-token", True),
        ("llm-proxy.yaml", True),
    ],
)
def test_secret_files_are_not_committed(name, ignored):
    assert (git("check-ignore", "--no-index", "--quiet", name).returncode == 0) == (
        ignored
    )


def test_image_gets_only_what_it_is_built_from():
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    wanted = {rule[1:] for rule in rules if rule.startswith("!")}
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = set()
    for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE):
        copied.update(line.split()[:-1])

    assert rules[0] == "*"
    assert ".env*" in rules
    assert wanted == copied


def test_versions_of_uv_agree():
    pinned = re.compile(r"uv==(\S+)|UV_VERSION=(\S+)")
    versions = {
        file: pinned.search((ROOT / file).read_text(encoding="utf-8"))
        for file in ("Dockerfile", ".ci/sync")
    }

    assert len({match[1] or match[2] for match in versions.values() if match}) == 1
    assert all(versions.values())


def test_version_stands_in_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "src/llm_proxy/__init__.py"


def documents() -> list[Path]:
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_documents_lead_somewhere(document):
    text = document.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", text)

    assert [link for link in links if not (document.parent / link).exists()] == []
    assert set(re.findall(r"`make ([a-z]+)", text)) <= targets
