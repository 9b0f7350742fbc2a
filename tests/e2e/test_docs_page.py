"""The documentation in a real browser."""

import json
import os
import re
import shutil
import subprocess

import pytest

from llm_proxy.api.route_table import ROUTES

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--v=0",
    "--virtual-time-budget=8000",
)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no chromium on PATH, and CHROMIUM does not name one"
    ),
]


@pytest.fixture(scope="module")
def service(start):
    return start(
        "llm_proxy",
        "serve",
        ENVIRONMENT="testing",
        API_TOKEN="test_token",
        PORT="0",
        LLM_PROVIDER="sandbox",
    )


@pytest.fixture(scope="module")
def page(service, tmp_path_factory):
    """What the browser shows, with one operation open, and what its console says."""
    profile = tmp_path_factory.mktemp("profile")
    done = subprocess.run(
        [
            CHROMIUM,
            *SWITCHES,
            f"--user-data-dir={profile}",
            "--dump-dom",
            f"{service.url}/docs#/tasks/webhook",
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return done.stdout, console


def test_swagger_ui_shows_every_operation(page):
    document, _ = page
    shown = re.findall(r'class="opblock [^"]*" id="operations-\w+?-(\w+)"', document)
    aliases = [f"{each.name}_alias" for each in ROUTES if len(each.paths) > 1]
    assert sorted(shown) == sorted([*aliases, *(each.name for each in ROUTES)])
    assert ">Authorize<" in document


def test_an_operation_can_be_tried_out_at_once(page):
    document, _ = page
    filled = re.search(r"<textarea[^>]*>([^<]*)</textarea>", document)[1]
    assert json.loads(filled)["type"] == "summary"
    assert ">Execute<" in document


def test_the_browser_has_nothing_to_complain_about(page):
    _, console = page
    assert console == []


def test_the_browser_asked_nobody_but_us(service, page):
    assert '"route":"/openapi.json"' in service.log
    assert '"status":404' not in service.log
