"""What programs do with a model, one function for each row of the table."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.clients import words
from tests.clients.program import Program, Told
from tests.clients.words import CHAT, DIALECTS, MESSAGES, RESPONSES

HELLO = "Hello there"
GREETING = 'The sandbox read: "Hello there"'
THOUGHT = "The user wrote 2 words, so a short answer will do."

STOPPED = {CHAT: "stop", RESPONSES: "completed", MESSAGES: "end_turn"}
CALLED = {CHAT: "tool_calls", RESPONSES: "completed", MESSAGES: "tool_use"}
TOO_LONG = {CHAT: "length", RESPONSES: "max_output_tokens", MESSAGES: "max_tokens"}


@dataclass(frozen=True)
class Feature:
    """One row of the table.

    Attributes:
        name: For its tests.
        title: For readers.
        run: Uses it, and demands that it works.
        dialects: Those that have words for it.
    """

    name: str
    title: str
    run: Callable[[Program], None]
    dialects: tuple[str, ...]


FEATURES: dict[str, Feature] = {}


def feature(title: str, known: Mapping[str, Any] | None = None) -> Callable:
    """Makes a row of a function."""

    def register(run: Callable[[Program], None]) -> Callable[[Program], None]:
        dialects = tuple(each for each in DIALECTS if known is None or each in known)
        FEATURES[run.__name__] = Feature(run.__name__, title, run, dialects)
        return run

    return register


def ask(
    program: Program, options: words.Words, text: str = HELLO, model: str = "sandbox"
) -> Told:
    """Asks a question in one turn with options in the program's own words."""
    return program.ask(model, **program.says(text) | options[program.dialect])


def reached(program: Program, *values: object) -> bool:
    """Whether all values stand in the request that has reached the upstream."""
    body = json.dumps(program.upstream.body())
    return all(json.dumps(value) in body for value in values)


@feature("Text")
def plain_text(program: Program) -> None:
    told = program.ask(**program.says(HELLO))
    assert told.text == GREETING
    assert told.ending == STOPPED[program.dialect]


@feature("Text, piece by piece")
def streamed_text(program: Program) -> None:
    told = program.ask("slow-stream-5", **program.says(HELLO))
    assert told.text == GREETING
    assert told.deltas > 1


@feature("System message")
def system_message(program: Program) -> None:
    told = program.ask(**words.SYSTEM[program.dialect])
    assert told.text == GREETING
    assert reached(program, "Be brief.", HELLO)


@feature("Developer message", words.DEVELOPER)
def developer_message(program: Program) -> None:
    told = program.ask(**words.DEVELOPER[program.dialect])
    assert told.text == GREETING
    assert reached(program, "Be brief.", HELLO)


@feature("Several turns")
def several_turns(program: Program) -> None:
    fields = program.says("One")
    first = program.ask(**fields)
    follow_up = {"role": "user", "content": "Two"}
    second = program.ask(**program.goes_on(fields, first, follow_up))
    assert second.text == 'The sandbox read: "Two"'
    assert reached(program, "One", first.text, "Two")


def _look(program: Program, part: Mapping[str, Any]) -> Told:
    text = words.TEXT[program.dialect]
    return program.ask(**program.says(part[program.dialect], text))


@feature("Image as base64")
def image(program: Program) -> None:
    told = _look(program, words.IMAGE)
    assert told.text == 'The sandbox read: "Look" It saw 1 image (image/png).'


@feature("Image by URL")
def remote_image(program: Program) -> None:
    told = _look(program, words.REMOTE_IMAGE)
    assert "It saw 1 " in told.text
    assert reached(program, words.IMAGE_URL)


@feature("PDF as base64")
def document(program: Program) -> None:
    told = _look(program, words.DOCUMENT)
    assert told.text == (
        'The sandbox read: "Look" It saw 1 document (application/pdf).'
    )


@feature("Audio", words.AUDIO)
def audio(program: Program) -> None:
    assert "It saw 1 audio" in _look(program, words.AUDIO).text


def _tools(program: Program, text: str, choice: str = "auto", **more: Any) -> Told:
    options = {
        "tools": words.TOOLS[program.dialect],
        "tool_choice": words.CHOICES[choice][program.dialect],
    }
    return program.ask(**program.says(text) | options | more)


@feature("Tool call")
def tool_call(program: Program) -> None:
    told = _tools(program, "The weather in Rome for 3 days")
    [call] = told.calls
    assert (call.name, call.arguments) == ("weather", {"city": "Rome", "days": 3})
    assert told.text == ""
    assert told.ending == CALLED[program.dialect]


@feature("Tool choice: none")
def no_tool(program: Program) -> None:
    told = _tools(program, "weather", "none")
    assert told.calls == []
    assert told.text == 'The sandbox read: "weather"'


@feature("Tool choice: any")
def required_tool(program: Program) -> None:
    assert [call.name for call in _tools(program, HELLO, "required").calls] == [
        "weather"
    ]


@feature("Tool choice: by name")
def named_tool(program: Program) -> None:
    [call] = _tools(program, HELLO, "named").calls
    assert (call.name, call.arguments) == ("time", {})


@feature("Parallel tool calls")
def parallel_calls(program: Program) -> None:
    told = _tools(program, "weather and time")
    assert [call.name for call in told.calls] == ["weather", "time"]
    assert len({call.id for call in told.calls}) == 2


@feature("One tool call at a time")
def one_call(program: Program) -> None:
    told = _tools(program, "weather and time", **words.ONE_AT_A_TIME[program.dialect])
    assert [call.name for call in told.calls] == ["weather"]


@feature("Tool results, up to the final text")
def tool_loop(program: Program) -> None:
    fields = program.says("weather and time")
    fields["tools"] = words.TOOLS[program.dialect]
    told = program.ask(**fields)
    results = [
        program.result(call, f"result of {call.name}") for call in told.calls
    ]
    told = program.ask(**program.goes_on(fields, told, *results))
    assert told.text == (
        'The tool weather answered: "result of weather" '
        'The tool time answered: "result of time"'
    )
    assert told.ending == STOPPED[program.dialect]


@feature("Tool arguments, piece by piece")
def streamed_arguments(program: Program) -> None:
    fields = program.says("The weather in Rome for 3 days")
    told = program.ask("slow-stream-5", tools=words.TOOLS[program.dialect], **fields)
    [call] = told.calls
    assert call.arguments == {"city": "Rome", "days": 3}
    # Gemini tells them all at once.
    assert told.deltas > 1 or program.provider == "gemini"


@feature("Tools with free text", words.SHELL)
def custom_tool(program: Program) -> None:
    fields = program.says("Run the shell")
    fields["tools"] = [words.SHELL[program.dialect]]
    told = program.ask(**fields)
    [call] = told.calls
    assert call.name == "shell"
    assert isinstance(call.arguments, str)
    assert call.arguments
    told = program.ask(**program.goes_on(fields, told, program.result(call, "done")))
    assert told.text == 'The tool shell answered: "done"'


@feature("Tools that the vendor runs", words.HOSTED_TOOL)
def hosted_tool(program: Program) -> None:
    tool = words.HOSTED_TOOL[program.dialect]
    try:
        program.ask(**program.says(HELLO), tools=[tool])
    except program.bad_request:
        # The sandbox runs no tools for responses; it has been asked to.
        assert program.dialect == RESPONSES
    assert reached(program, tool)


@feature("Structured output by JSON schema")
def json_schema(program: Program) -> None:
    told = ask(program, words.SCHEMA, "Paris, 2 days")
    assert json.loads(told.text) == {"city": "Paris", "days": 2}


@feature("Any JSON object", words.ANY_JSON)
def any_json(program: Program) -> None:
    told = ask(program, words.ANY_JSON, "Answer in JSON")
    assert isinstance(json.loads(told.text), dict)


@feature("Thinking")
def thinking(program: Program) -> None:
    told = ask(program, words.THINKING, model="reasoning")
    assert told.text == GREETING
    # Neither Anthropic's dialect nor Bedrock counts them.
    if program.dialect != MESSAGES and program.provider != "bedrock":
        assert told.tokens.thoughts == len(THOUGHT.split())
    # The dialect of chat has no word for the wish to see them.
    assert told.thoughts == THOUGHT or program.dialect == CHAT


@feature("Thinking, sent back with tool results")
def thinking_sent_back(program: Program) -> None:
    fields = program.says("The weather in Rome") | words.THINKING[program.dialect]
    fields["tools"] = words.TOOLS[program.dialect]
    told = program.ask(**fields)
    [call] = told.calls
    fields = program.goes_on(fields, told, program.result(call, "sunny"))
    told = program.ask(**fields)
    assert told.text == 'The tool weather answered: "sunny"'


@feature("Cache control", words.CACHED)
def cache_control(program: Program) -> None:
    told = ask(program, words.CACHED)
    assert told.tokens.cached == 3
    assert told.tokens.input == 5


@feature("Stop sequences", words.STOP)
def stop_sequences(program: Program) -> None:
    told = ask(program, words.STOP)
    assert told.text == "The sandbox "
    if program.dialect == CHAT:
        assert told.ending == "stop"
    elif told.stop_sequence is not None:
        assert (told.ending, told.stop_sequence) == ("stop_sequence", "read")
    else:
        # Only Anthropic's models say which one it was.
        assert program.provider not in ("anthropic", "bedrock")
        assert told.ending == "end_turn"


@feature("Bound of tokens")
def token_bound(program: Program) -> None:
    options = words.AT_MOST[program.dialect]
    told = program.ask("chunks-40", **program.says(HELLO) | options)
    assert told.text.split() == [str(number) for number in range(1, 17)]
    assert told.ending == TOO_LONG[program.dialect]
    assert told.tokens.output == 16


@feature("Refusal")
def refusal(program: Program) -> None:
    told = program.ask("refusal", **program.says(HELLO))
    # The others have no field for it: their models say it in plain words only.
    assert told.refused or program.provider in ("gemini", "bedrock")
    assert told.text + told.refusal == "I'm sorry, but I can't help with that."


@feature("Answers cut off by a content filter")
def content_filter(program: Program) -> None:
    told = program.ask("content-filter", **program.says(HELLO))
    assert told.refused
    assert told.text + told.refusal == GREETING


@feature("Log probabilities", words.LOGPROBS)
def log_probabilities(program: Program) -> None:
    told = ask(program, words.LOGPROBS)
    assert "".join(each.token for each in told.logprobs) == told.text
    assert {len(each.top_logprobs) for each in told.logprobs} == {2}


@feature("Usage")
def usage(program: Program) -> None:
    told = program.ask(**program.says(HELLO))
    assert told.tokens[:2] == (2, 5)


@feature("Several choices", words.CHOICES_OF_ANSWERS)
def several_choices(program: Program) -> None:
    told = ask(program, words.CHOICES_OF_ANSWERS)
    assert told.choices == 2


@feature("Temperature and top_p")
def sampling(program: Program) -> None:
    assert ask(program, words.SAMPLING).text == GREETING
    assert reached(program, 0.5, 0.9)


@feature("Penalties", words.PENALTIES)
def penalties(program: Program) -> None:
    assert ask(program, words.PENALTIES).text == GREETING
    assert reached(program, 0.5)


@feature("top_k", words.TOP_K)
def top_k(program: Program) -> None:
    assert ask(program, words.TOP_K).text == GREETING
    assert reached(program, 5)


@feature("Seed", words.SEED)
def seed(program: Program) -> None:
    assert ask(program, words.SEED).text == GREETING
    assert reached(program, 7)


@feature("Id of the end user")
def end_user(program: Program) -> None:
    assert ask(program, words.USER).text == GREETING
    assert reached(program, "user-7")


@feature("Verbosity", words.VERBOSITY)
def verbosity(program: Program) -> None:
    assert ask(program, words.VERBOSITY).text == GREETING
    assert reached(program, "low")


@feature("Fields that only the vendor knows")
def unknown_field(program: Program) -> None:
    assert ask(program, words.UNKNOWN).text == GREETING
