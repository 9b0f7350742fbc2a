"""What was asked in the recorded exchanges, in the canonical form."""

import json

from llm_proxy.types import (
    ChatRequest,
    Message,
    Reasoning,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    said,
)

GET_WEATHER = Tool(
    "get_weather",
    "Get the weather in a city.",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
)
_WEATHER = said("user", "What is the weather in Paris and in Rome?")
_CALLS = tuple(
    ToolCall(f"call_{number}", "get_weather", json.dumps({"city": city}))
    for number, city in enumerate(("Paris", "Rome"), start=1)
)
_RESULTS = (
    ToolResult("call_1", (Text("18 °C, rain"),)),
    ToolResult("call_2", (Text("24 °C, sun"),)),
)

QUESTIONS = {
    "greeting": ChatRequest(
        messages=(
            said("system", "Answer in one sentence."),
            said("user", "What is the capital of France?"),
        ),
        max_tokens=256,
        temperature=0.5,
    ),
    "weather": ChatRequest(
        messages=(_WEATHER,),
        tools=(GET_WEATHER,),
        tool_choice=ToolChoice("required"),
        max_tokens=256,
    ),
    "results": ChatRequest(
        messages=(_WEATHER, Message("assistant", _CALLS), Message("user", _RESULTS)),
        tools=(GET_WEATHER,),
        max_tokens=256,
    ),
    "puzzle": ChatRequest(
        messages=(said("user", "How many r are in strawberry?"),),
        reasoning=Reasoning(effort="low", visible=True),
        max_tokens=4096,
    ),
}
