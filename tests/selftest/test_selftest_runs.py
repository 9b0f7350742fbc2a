"""The self-test against a real instance, against one that lies, against nobody."""

import json
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.selftest.liar import Liar

from llm_proxy.cli import main
from llm_proxy.selftest.catalogue import CREDENTIAL_FAULTS, FAULTS, ODDITIES
from llm_proxy.selftest.edge import MALFORMED, MISTAKES
from llm_proxy.selftest.faults import SURFACES
from llm_proxy.selftest.instance import Instance
from llm_proxy.selftest.own import answers, start_own
from llm_proxy.selftest.result import NotTestableError
from llm_proxy.selftest.run import run
from llm_proxy.selftest.scorecard import encode_report

pytestmark = pytest.mark.integration

SOUND = {row.model for row in ODDITIES}
DOCUMENT = Path(__file__).parents[2] / "docs" / "selftest.md"


@pytest.fixture(scope="module")
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture
async def liar() -> AsyncIterator[Liar]:
    async with Liar() as server:
        yield server


@pytest.mark.timeout(400)
async def test_an_instance_keeps_its_promises():
    async with start_own() as instance:
        report = await run(instance)
    assert {
        result.place: result.verdict
        for result in report.results
        if result.mark != "passed"
    } == {}
    assert not await answers(instance.url)


async def test_an_instance_that_lies_is_found_out(liar):
    instance = Instance(liar.url, "any-token")
    report = await run(instance)
    await instance.aclose()

    believed = [each.name for each in report.faults if each.mark != "failed"]
    assert [name for name in believed if name not in SOUND] == []
    assert {each.name for each in report.others if each.mark == "failed"} == {
        "GET /api/v1/models",
        "GET /v1/models",
        "POST /api/v1/explain",
        "x-request-timeout: 1 is obeyed",
        "Retry-After: 2 is obeyed",
        "hanging up in a plain call, /chat",
        *(f"{each.name}, at {on.name}" for each in MISTAKES for on in SURFACES),
        *(each.name for each in MALFORMED),
    }
    encoded = json.loads(encode_report(report))
    assert encoded["ok"] is False
    assert encoded["counts"]["failed"] > len(FAULTS)


class TestNotTestable:
    async def test_a_token_that_is_not_accepted(self):
        async with start_own() as own:
            stranger = Instance(own.url, "wrong")
            with pytest.raises(NotTestableError, match="does not accept the token"):
                await run(stranger)
            await stranger.aclose()

    async def test_a_rate_limit_that_is_too_low(self):
        async with Liar("All of it.", "x-ratelimit-limit: 60") as limited:
            instance = Instance(limited.url, "any-token")
            with pytest.raises(NotTestableError, match="takes 60 requests") as caught:
                await run(instance)
            await instance.aclose()
        (number,) = re.findall(r"the test sends up to ([0-9]+):", str(caught.value))
        assert f"below {number} requests a minute" in DOCUMENT.read_text("utf-8")

    @pytest.mark.parametrize("url", ["127.0.0.1:8000", "localhost:8000", "http://[::1"])
    def test_an_address_that_is_none(self, url, capsys):
        with pytest.raises(SystemExit) as caught:
            main(["selftest", "--url", url, "--token", "any"])
        assert caught.value.code == 2
        assert capsys.readouterr().err.startswith("--url ")

    def test_nobody_is_there(self, free_port, capsys):
        arguments = ("--url", f"http://127.0.0.1:{free_port}", "--token", "any")
        with pytest.raises(SystemExit) as caught:
            main(["selftest", *arguments])
        assert caught.value.code == 2
        assert "Nothing answers at" in capsys.readouterr().err

    def test_no_token_is_known(self, monkeypatch, tmp_path, capsys):
        monkeypatch.delenv("API_TOKEN", raising=False)
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as caught:
            main(["selftest", "--url", "http://127.0.0.1:1"])
        assert caught.value.code == 2
        assert "give --token" in capsys.readouterr().err


def test_the_document_shows_a_green_run_of_the_whole_catalogue():
    card = DOCUMENT.read_text(encoding="utf-8").partition("# llm-proxy selftest\n")[2]
    names = {row.model for row in (*ODDITIES, *FAULTS, *CREDENTIAL_FAULTS)}
    shown = set(re.findall(r"^ *(\S+) +[✓○✗ ]+ [0-9.]+ *$", card, re.MULTILINE))
    assert shown == names
    assert "✗" not in card.partition("Signs of a fault")[0]
    assert "All green." in card
