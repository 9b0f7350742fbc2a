"""What programs ask for besides, and how answers end."""

import json

from tests.clients import words
from tests.clients.feature import (
    GREETING,
    HELLO,
    THOUGHT,
    TOO_LONG,
    Feature,
    ask,
    reached,
)
from tests.clients.program import Program
from tests.clients.words import CHAT, MESSAGES


def json_schema(program: Program) -> None:
    told = ask(program, words.SCHEMA, "Paris, 2 days")
    assert json.loads(told.text) == {"city": "Paris", "days": 2}


def any_json(program: Program) -> None:
    told = ask(program, words.ANY_JSON, "Answer in JSON")
    assert isinstance(json.loads(told.text), dict)


def thinking(program: Program) -> None:
    told = ask(program, words.THINKING, model="reasoning")
    assert told.text == GREETING
    # Neither Anthropic's dialect nor Bedrock counts them.
    if program.dialect != MESSAGES and program.provider != "bedrock":
        assert told.tokens.thoughts == len(THOUGHT.split())
    # The dialect of chat has no word for the wish to see them.
    assert told.thoughts == THOUGHT or program.dialect == CHAT


def thinking_sent_back(program: Program) -> None:
    fields = program.says("The weather in Rome") | words.THINKING[program.dialect]
    fields["tools"] = words.TOOLS[program.dialect]
    told = program.ask(**fields)
    [call] = told.calls
    fields = program.goes_on(fields, told, program.result(call, "sunny"))
    told = program.ask(**fields)
    assert told.text == 'The tool weather answered: "sunny"'


def cache_control(program: Program) -> None:
    told = ask(program, words.CACHED)
    assert told.tokens.cached == 3
    assert told.tokens.input == 5


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


def token_bound(program: Program) -> None:
    options = words.AT_MOST[program.dialect]
    told = program.ask("chunks-40", **program.says(HELLO) | options)
    assert told.text.split() == [str(number) for number in range(1, 17)]
    assert told.ending == TOO_LONG[program.dialect]
    assert told.tokens.output == 16


def refusal(program: Program) -> None:
    told = program.ask("refusal", **program.says(HELLO))
    assert told.refused
    assert told.text + told.refusal == "I'm sorry, but I can't help with that."


def content_filter(program: Program) -> None:
    told = program.ask("content-filter", **program.says(HELLO))
    assert told.refused
    assert told.text + told.refusal == GREETING


def log_probabilities(program: Program) -> None:
    told = ask(program, words.LOGPROBS)
    assert "".join(each.token for each in told.logprobs) == told.text
    assert {len(each.top_logprobs) for each in told.logprobs} == {2}


def usage(program: Program) -> None:
    told = program.ask(**program.says(HELLO))
    assert told.tokens[:2] == (2, 5)


def several_choices(program: Program) -> None:
    told = ask(program, words.CHOICES_OF_ANSWERS)
    assert told.choices == 2


def sampling(program: Program) -> None:
    assert ask(program, words.SAMPLING).text == GREETING
    assert reached(program, 0.5, 0.9)


def penalties(program: Program) -> None:
    assert ask(program, words.PENALTIES).text == GREETING
    assert reached(program, 0.5)


def top_k(program: Program) -> None:
    assert ask(program, words.TOP_K).text == GREETING
    assert reached(program, 5)


def seed(program: Program) -> None:
    assert ask(program, words.SEED).text == GREETING
    assert reached(program, 7)


def end_user(program: Program) -> None:
    assert ask(program, words.USER).text == GREETING
    assert reached(program, "user-7")


def verbosity(program: Program) -> None:
    assert ask(program, words.VERBOSITY).text == GREETING
    assert reached(program, "low")


def unknown_field(program: Program) -> None:
    assert ask(program, words.UNKNOWN).text == GREETING


OPTIONS = (
    Feature("Structured output by JSON schema", json_schema),
    Feature("Any JSON object", any_json, words.ANY_JSON),
    Feature("Thinking", thinking),
    Feature("Thinking, sent back with tool results", thinking_sent_back),
    Feature("Cache control", cache_control, words.CACHED),
    Feature("Stop sequences", stop_sequences, words.STOP),
    Feature("Bound of tokens", token_bound),
    Feature("Refusal", refusal),
    Feature("Answers cut off by a content filter", content_filter),
    Feature("Log probabilities", log_probabilities, words.LOGPROBS),
    Feature("Usage", usage),
    Feature("Several choices", several_choices, words.CHOICES_OF_ANSWERS),
    Feature("Temperature and top_p", sampling),
    Feature("Penalties", penalties, words.PENALTIES),
    Feature("top_k", top_k, words.TOP_K),
    Feature("Seed", seed, words.SEED),
    Feature("Id of the end user", end_user),
    Feature("Verbosity", verbosity, words.VERBOSITY),
    Feature("Fields that only the vendor knows", unknown_field),
)
