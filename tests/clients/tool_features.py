"""What programs do with tools."""

from typing import Any

from tests.clients import words
from tests.clients.feature import CALLED, HELLO, STOPPED, Feature, reached
from tests.clients.program import Program, Told
from tests.clients.words import RESPONSES


def _tools(program: Program, text: str, choice: str = "auto", **more: Any) -> Told:
    options = {
        "tools": words.TOOLS[program.dialect],
        "tool_choice": words.CHOICES[choice][program.dialect],
    }
    return program.ask(**program.says(text) | options | more)


def tool_call(program: Program) -> None:
    told = _tools(program, "The weather in Rome for 3 days")
    [call] = told.calls
    assert (call.name, call.arguments) == ("weather", {"city": "Rome", "days": 3})
    assert told.text == ""
    assert told.ending == CALLED[program.dialect]


def no_tool(program: Program) -> None:
    told = _tools(program, "weather", "none")
    assert told.calls == []
    assert told.text == 'The sandbox read: "weather"'


def required_tool(program: Program) -> None:
    assert [call.name for call in _tools(program, HELLO, "required").calls] == [
        "weather"
    ]


def named_tool(program: Program) -> None:
    [call] = _tools(program, HELLO, "named").calls
    assert (call.name, call.arguments) == ("time", {})


def parallel_calls(program: Program) -> None:
    told = _tools(program, "weather and time")
    assert [call.name for call in told.calls] == ["weather", "time"]
    assert len({call.id for call in told.calls}) == 2


def one_call(program: Program) -> None:
    told = _tools(program, "weather and time", **words.ONE_AT_A_TIME[program.dialect])
    assert [call.name for call in told.calls] == ["weather"]


def tool_loop(program: Program) -> None:
    fields = program.says("weather and time")
    fields["tools"] = words.TOOLS[program.dialect]
    told = program.ask(**fields)
    results = [program.result(call, f"result of {call.name}") for call in told.calls]
    told = program.ask(**program.goes_on(fields, told, *results))
    assert told.text == (
        'The tool weather answered: "result of weather" '
        'The tool time answered: "result of time"'
    )
    assert told.ending == STOPPED[program.dialect]


def streamed_arguments(program: Program) -> None:
    fields = program.says("The weather in Rome for 3 days")
    told = program.ask("slow-stream-5", tools=words.TOOLS[program.dialect], **fields)
    [call] = told.calls
    assert call.arguments == {"city": "Rome", "days": 3}
    # Gemini tells them all at once.
    assert told.deltas > 1 or program.provider == "gemini"


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


def hosted_tool(program: Program) -> None:
    tool = words.HOSTED_TOOL[program.dialect]
    try:
        program.ask(**program.says(HELLO), tools=[tool])
    except program.bad_request:
        # The sandbox runs no tools for responses; it has been asked to.
        assert program.dialect == RESPONSES
    assert reached(program, tool)


TOOLS = (
    Feature("Tool call", tool_call),
    Feature("Tool choice: none", no_tool),
    Feature("Tool choice: any", required_tool),
    Feature("Tool choice: by name", named_tool),
    Feature("Parallel tool calls", parallel_calls),
    Feature("One tool call at a time", one_call),
    Feature("Tool results, up to the final text", tool_loop),
    Feature("Tool arguments, piece by piece", streamed_arguments),
    Feature("Tools with free text", custom_tool, words.SHELL),
    Feature("Tools that the vendor runs", hosted_tool, words.HOSTED_TOOL),
)
