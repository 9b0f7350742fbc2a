"""Streams that another deployment goes on with, over real sockets."""

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.live import ANTHROPIC, CHAT, OPENAI, PATHS, live

from llm_proxy.seam import Seam

PROMPT = "one two three four five six"
ANSWER = f'The sandbox read: "{PROMPT}"'
SCHEMA = {"type": "object", "properties": {"word": {"type": "string"}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "word", "schema": SCHEMA}}
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "parameters": {
            "type": "object",
            "properties": {"word": {"type": "string"}},
            "required": ["word"],
        },
    },
}
MODELS = """
models:
  it:
    deployments: [{{model: {first}}}]
    fallbacks: [{then}]
    retries: 0
    stream_recovery: continue
    timeouts: {{idle: 0.3}}
"""


@pytest.fixture
def service(settings, restored_logging, tmp_path):
    """Runs services with a model called `it`."""

    def service(first: str, then: str = ""):
        return live(settings, tmp_path, MODELS.format(first=first, then=then))

    return service


@pytest.mark.integration
class TestContinue:
    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("first", ["one", "claude"])
    async def test_the_halves_make_one_answer(self, service, path, first):
        async with service(f"{first}/fault-cut", "claude/sandbox") as it:
            heard = await it.hear(path, "it", PROMPT)

            assert (heard.text, heard.is_whole) == (ANSWER, True)
            assert it.asked == ["fault-cut", "sandbox"]

    @pytest.mark.parametrize(
        "fault",
        [
            "fault-reset-midway",
            "fault-malformed",
            "fault-mid-stream-error",
            "fault-no-finish",
            "fault-stalled",
        ],
    )
    async def test_however_the_first_has_died(self, service, fault):
        async with service(f"one/{fault}", "claude/sandbox") as it:
            heard = await it.hear(CHAT, "it", PROMPT)

            assert heard.is_whole
            assert heard.text.rstrip() == ANSWER

    async def test_it_ends_in_the_name_of_the_last(self, service):
        async with service("one/fault-cut", "claude/sandbox") as it:
            heard = await it.hear(CHAT, "it", PROMPT)
            done = heard.events[-1]

            assert (done["provider"], done["model"]) == ("claude", "sandbox")
            assert done["response"] == ANSWER
            assert done["meta"]["model"] == "sandbox"

    async def test_who_can_is_given_the_beginning(self, service):
        async with service("one/fault-cut", "claude/sandbox") as it:
            await it.hear(CHAT, "it", PROMPT)
            *asked, begun = it.received[-1]["messages"]

            assert [turn["role"] for turn in asked] == ["user"]
            assert begun["role"] == "assistant"
            beginning = begun["content"]
            # Anthropic refuses those that end with white space.
            assert beginning == beginning.rstrip()
            assert ANSWER.startswith(beginning)
            assert len(beginning) < len(ANSWER)

    async def test_who_cannot_is_told_to_go_on(self, service):
        async with service("one/fault-cut", "two/sandbox") as it:
            heard = await it.hear(CHAT, "it", PROMPT)
            _, begun, told = it.received[-1]["messages"]

            assert (begun["role"], told["role"]) == ("assistant", "user")
            assert ANSWER.startswith(begun["content"])
            assert "Continue" in told["content"]
            assert heard.text.startswith(begun["content"])
            assert heard.is_whole

    async def test_what_is_repeated_is_left_out(self, service):
        # The first half is how every answer of the sandbox begins.
        async with service("one/fault-cut", "two/sandbox") as it:
            heard = await it.hear(CHAT, "it", "one two")
            *_, begun, _ = it.received[-1]["messages"]

            assert begun["content"] == "The sandbox read:"
            assert heard.text.startswith('The sandbox read: "Your last message')

    async def test_a_second_death_is_no_end_either(self, service):
        async with service("one/fault-cut", "claude/fault-cut, claude/sandbox") as it:
            heard = await it.hear(CHAT, "it", PROMPT)

            assert (heard.text, heard.is_whole) == (ANSWER, True)
            assert it.asked == ["fault-cut", "fault-cut", "sandbox"]

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("then", ["", "two/fault-503"])
    async def test_if_nobody_goes_on_the_first_error_is_told(self, service, path, then):
        async with service("one/fault-cut", then) as it:
            heard = await it.hear(path, "it", PROMPT)

            assert heard.text
            assert ANSWER.startswith(heard.text)
            assert not heard.is_whole
            assert b"broke off" in heard.parts[-1][1]

    async def test_the_rest_has_the_rest_of_the_tokens(self, service):
        async with service("one/fault-cut", "claude/sandbox") as it:
            await it.hear(ANTHROPIC, "it", PROMPT, max_tokens=100)
            first, rest = it.received

            used = len(ANSWER.split()) // 2
            assert first["max_tokens"] == 100
            assert 100 - 4 * used < rest["max_tokens"] <= 100 - used

    @pytest.mark.parametrize("then", ["two/sandbox", "claude/sandbox"])
    async def test_nobody_is_asked_to_think_again(self, service, then):
        async with service("one/fault-cut", then) as it:
            await it.hear(OPENAI, "it", PROMPT, reasoning_effort="high")
            first, rest = it.received

            assert first["reasoning_effort"] == "high"
            assert not {"reasoning_effort", "thinking"} & rest.keys()

    async def test_thoughts_about_the_second_half_are_not_shown(self, service):
        async with service("claude/fault-cut", "claude/reasoning") as it:
            fields = {
                "max_tokens": 2000,
                "thinking": {"type": "enabled", "budget_tokens": 1024},
            }
            # Long enough for the first half to have both thoughts and text.
            heard = await it.hear(ANTHROPIC, "it", f"{PROMPT} " * 4, **fields)

            kinds = [
                event["content_block"]["type"]
                for event in heard.events
                if event["type"] == "content_block_start"
            ]
            assert kinds == ["thinking", "text"]
            assert heard.is_whole

    @pytest.mark.parametrize(
        "fields",
        [
            {"response_format": FORMAT},
            {"response_format": {"type": "json_object"}},
            {"tools": [TOOL], "tool_choice": "required"},
            {"n": 2},
        ],
        ids=["schema", "any JSON", "a tool call", "two answers"],
    )
    async def test_what_cannot_be_joined_ends_with_the_error(self, service, fields):
        async with service("one/fault-cut", "two/sandbox") as it:
            prompt = f"{PROMPT}, as JSON"
            heard = await it.hear(OPENAI, "it", prompt, **fields)

            assert (heard.is_whole, heard.error) == (False, "llm_stream_broken")
            assert it.asked == ["fault-cut"]

    async def test_plain_answers_are_none_of_its_business(self, service):
        async with service("one/sandbox", "two/sandbox") as it:
            body = {"model": "it", "messages": [{"role": "user", "content": PROMPT}]}
            answer = await it.client.post(OPENAI, json=body)

            [choice] = json.loads(answer.content)["choices"]
            assert choice["message"]["content"] == ANSWER


# No piece of it occurs twice, so what is repeated can be told.
TEXT = "".join(f"{number:x}, " for number in range(300))


def join(first: str, pieces: list[str]) -> str:
    seam = Seam(first)
    return first + "".join(map(seam.add, pieces)) + seam.close()


@st.composite
def cuts(draw, text: str) -> list[str]:
    """A text in pieces of any size."""
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=9)))
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


class TestSeam:
    @given(st.data(), st.integers(1, len(TEXT)), st.integers(16, 400))
    def test_what_is_repeated_is_taken_out(self, data, end, repeated):
        assume(repeated <= end)
        pieces = data.draw(cuts(TEXT[end - repeated :]))
        assert join(TEXT[:end], pieces) == TEXT

    @given(st.data(), st.integers(1, len(TEXT)))
    def test_nothing_is_if_nothing_is_repeated(self, data, end):
        pieces = data.draw(cuts(TEXT[end:]))
        assert join(TEXT[:end], pieces) == TEXT

    @given(
        st.data(), st.integers(1, len(TEXT)), st.text(" \n", min_size=1, max_size=20)
    )
    def test_white_space_at_the_seam_stands_once(self, data, end, blank):
        # Who goes on was not shown the white space, and so may write it again.
        assume(not TEXT[:end].endswith(" ") and not TEXT[end:].startswith(" "))
        first = TEXT[:end] + blank
        pieces = data.draw(cuts(blank + TEXT[end:]))
        assert join(first, pieces) == first + TEXT[end:]

    @given(st.text(), st.text())
    def test_the_first_half_is_never_touched_and_the_second_never_grows(
        self, first, second
    ):
        joined = join(first, [second])
        assert joined.startswith(first)
        assert second.endswith(joined.removeprefix(first))

    def test_what_cannot_be_a_repetition_is_shown_at_once(self):
        seam = Seam(TEXT)
        assert seam.add("x") == "x"
        assert seam.add(TEXT) == TEXT
