"""Streams that die, over real sockets: what their callers are shown."""

from dataclasses import replace

import pytest
from tests.live import CHAT, PATHS, body_for, live, until

from llm_proxy import recovery
from llm_proxy.api import event_stream

pytestmark = pytest.mark.integration

PROMPT = "one two three four five six"
ANSWER = f'The sandbox read: "{PROMPT}"'
DYING = (
    "fault-cut",
    "fault-reset-midway",
    "fault-malformed",
    "fault-mid-stream-error",
    "fault-no-finish",
    "fault-bad-chunk",
)
MODELS = """
models:
  {name}:
    deployments: [{{model: {first}}}]
    fallbacks: [{then}]
    retries: {retries}
    stream_recovery: "{recovery}"
    timeouts: {{idle: 0.3}}
"""


def model(
    first: str, then: str = "", recovery: str = "buffer", retries: int = 0
) -> str:
    """Writes an alias called `it`."""
    return MODELS.format(
        name="it", first=first, then=then, recovery=recovery, retries=retries
    )


@pytest.fixture
def service(settings, restored_logging, tmp_path):
    """Runs services with a model called `it`."""

    def service(*args: object, **overrides: object):
        models = model(*args)
        return live(settings, tmp_path, models, **overrides)

    return service


class TestContentFilter:
    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("stream", [True, False])
    @pytest.mark.parametrize(("policy", "asked"), [("stop", 1), ("fallback", 2)])
    async def test_only_the_policy_leads_around_it(
        self, settings, restored_logging, tmp_path, path, stream, policy, asked
    ):
        models = model("one/fault-content-filter", "two/sandbox", "off")
        models += f"    content_filter: {policy}\n"
        async with live(settings, tmp_path, models) as it:
            body = body_for(path, "it", PROMPT, stream=stream)
            answer = await it.client.post(path, json=body)
            assert len(it.asked) == asked
            assert ("four" in answer.text) == (policy == "fallback")


class TestOff:
    @pytest.mark.parametrize("path", PATHS)
    async def test_what_has_come_is_shown_and_then_the_error(self, service, path):
        async with service("one/fault-cut", "two/sandbox", "off") as it:
            heard = await it.hear(path, "it", PROMPT)

            assert heard.text
            assert ANSWER.startswith(heard.text)
            assert (heard.is_whole, bool(heard.error)) == (False, True)
            assert it.asked == ["fault-cut"]


class TestBuffer:
    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("first", ["one", "claude"])
    async def test_a_dead_stream_is_answered_by_the_next(self, service, path, first):
        async with service(f"{first}/fault-cut", "two/sandbox") as it:
            heard = await it.hear(path, "it", PROMPT)

            assert (heard.text, heard.is_whole) == (ANSWER, True)
            assert it.asked == ["fault-cut", "sandbox"]
            assert b"fault-cut" not in heard.raw

    @pytest.mark.parametrize("fault", [*DYING, "fault-stalled"])
    async def test_however_it_dies(self, service, fault):
        async with service(f"one/{fault}", "claude/sandbox") as it:
            heard = await it.hear(CHAT, "it", PROMPT)

            assert (heard.text, heard.is_whole) == (ANSWER, True)
            done = heard.events[-1]
            assert (done["provider"], done["model"]) == ("claude", "sandbox")
            assert done["meta"]["model"] == "sandbox"
            assert done["meta"]["usage"]["output_tokens"] == len(ANSWER.split())

    @pytest.mark.parametrize("path", PATHS)
    async def test_one_that_lives_is_shown_as_a_whole(self, service, path):
        async with service("one/sandbox") as it:
            heard = await it.hear(path, "it", PROMPT)
            assert (heard.text, heard.is_whole) == (ANSWER, True)

    @pytest.mark.parametrize("path", PATHS)
    async def test_nothing_is_shown_before_but_comments(
        self, service, path, monkeypatch
    ):
        monkeypatch.setattr(event_stream, "_KEEPALIVE_SECONDS", 0.05)
        async with service("one/slow-stream-40") as it:
            heard = await it.hear(path, "it", PROMPT)

            parts = [part for _, part in heard.parts]
            begin = next(i for i, part in enumerate(parts) if b"sandbox" in part)
            assert begin >= 2
            assert replace(heard, parts=heard.parts[: begin + 1]).text == ANSWER
            assert heard.is_whole

    @pytest.mark.parametrize("path", PATHS)
    async def test_if_all_die_that_is_said(self, service, path):
        async with service("one/fault-cut", "two/fault-cut") as it:
            heard = await it.hear(path, "it", PROMPT)

            assert heard.text == ""
            assert (heard.is_whole, bool(heard.error)) == (False, True)
            assert it.asked == ["fault-cut", "fault-cut"]

    async def test_if_nobody_else_is_left_the_same_is_asked_again(self, service):
        async with service("one/fault-cut", "", "buffer", 2) as it:
            heard = await it.hear(CHAT, "it", PROMPT)

            assert heard.error == "LLM_STREAM_BROKEN"
            assert it.asked == ["fault-cut"] * 3

    async def test_a_silent_one_is_not_asked_again(self, service):
        async with service("one/fault-stalled", "", "buffer", 2) as it:
            heard = await it.hear(CHAT, "it", PROMPT)

            assert heard.error == "LLM_TIMEOUT"
            assert it.asked == ["fault-stalled"]

    async def test_a_caller_who_hangs_up_stops_the_upstream(self, service, logs):
        async with service("one/slow-stream-1000") as it:
            body = body_for(CHAT, "it", PROMPT)
            async with it.client.stream("POST", CHAT, json=body) as response:
                assert response.status_code == 200
                assert it.sandbox.app.state.traffic.open == 1
            await it.until_idle()
            assert it.sandbox.app.state.traffic.aborted == 1
            await until(lambda: not it.app.state.places.taken)
            [line] = logs("llm_call")
            assert (line["success"], line["code"]) == (False, "CancelledError")

    @pytest.mark.parametrize("path", PATHS)
    async def test_only_so_much_is_held(self, service, monkeypatch, path):
        monkeypatch.setattr(recovery, "_MOST_HELD", 100_000)
        async with service("one/fault-endless", "two/sandbox", "buffer", 2) as it:
            heard = await it.hear(path, "it", PROMPT)
            assert it.asked == ["fault-endless", "sandbox"]
            assert (heard.text, heard.is_whole) == (ANSWER, True)

    async def test_a_flood_is_not_asked_for_again(self, service, monkeypatch):
        monkeypatch.setattr(recovery, "_MOST_HELD", 100_000)
        async with service("one/fault-endless", "", "buffer", 2) as it:
            heard = await it.hear(CHAT, "it", PROMPT)
            assert heard.error == "LLM_BAD_RESPONSE"
            assert it.asked == ["fault-endless"]

    async def test_it_is_over_by_the_deadline_all_the_same(self, service):
        async with service(
            "one/slow-stream-200", "two/sandbox", stream_deadline=0.3
        ) as it:
            heard = await it.hear(CHAT, "it", PROMPT)
            assert (heard.text, heard.error) == ("", "LLM_TIMEOUT")
            await it.until_idle()

    async def test_the_trace_tells_of_both(self, service):
        async with service("one/fault-cut", "two/sandbox") as it:
            heard = await it.hear(CHAT, "it", PROMPT)
            id = heard.headers["x-llm-proxy-trace"]
            trace = (await it.client.get(f"/api/v1/traces/{id}")).json()["data"]

            assert trace["answeredBy"] == "two/sandbox"
            assert [tried["provider"] for tried in trace["attempts"]] == ["one", "two"]
