"""``POST /v1/responses`` and ``POST /v1/responses/input_tokens``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import orjson
from pydantic import TypeAdapter

from llm_proxy.providers.sandbox.body import read_json
from llm_proxy.providers.sandbox.conversation import Answer, Question, ToolResult
from llm_proxy.providers.sandbox.dialect import Problem, count_words
from llm_proxy.providers.sandbox.endpoint import Asked, ReceivedRequest, as_json
from llm_proxy.providers.sandbox.reply import Reply, answer_reply, json_reply
from llm_proxy.providers.sandbox.responses.body import InputTokensBody, ResponseBody
from llm_proxy.providers.sandbox.responses.dialect import (
    DONE_ONLY,
    FAILED,
    Responses,
)
from llm_proxy.providers.sandbox.responses.items import (
    CallOutput,
    Item,
    MessageItem,
    called_tools,
    find_unpaired,
)
from llm_proxy.providers.sandbox.responses.store import (
    ResponseStore,
    StoredResponse,
)
from llm_proxy.providers.sandbox.responses.tools import check_tools, choose

_ITEMS: TypeAdapter[list[Item]] = TypeAdapter(list[Item])


def read_response(request: ReceivedRequest, store: ResponseStore) -> Asked | Problem:
    """Read a request for a response.

    Args:
        request: The request.
        store: Has the conversation before it, and keeps the response.

    Returns:
        What is asked.
    """
    body = read_json(ResponseBody, request.body)
    if isinstance(body, Problem):
        return body
    read = _read_conversation(body, store)
    if isinstance(read, Problem):
        return read
    question = replace(
        _question_of(body, read.items, request),
        max_tokens=body.max_output_tokens,
        stream=bool(body.stream),
        top_logprobs=body.alternatives,
    )
    sent = orjson.loads(request.body)
    dialect = Responses(sent, sealed=body.is_sealed)

    def render(answer: Answer) -> Reply:
        response = StoredResponse(
            input=_as_items(sent["input"]),
            context=read.context,
            finished=dialect.write(answer),
            events=partial(dialect.events, answer, include_usage=True),
            background=bool(body.background and not body.stream),
        )
        if body.is_stored:
            store.keep(response)
        if response.background:
            return json_reply(dialect, response.look(), answer.id)
        return answer_reply(dialect, question, answer, answer.id)

    return Asked(question, dialect, render, body.model in (DONE_ONLY, FAILED))


def read_input_tokens(
    request: ReceivedRequest, store: ResponseStore
) -> Asked | Problem:
    """Read a request to count the tokens of input.

    Args:
        request: The request.
        store: Has the conversation before it.

    Returns:
        What is asked.
    """
    body = read_json(InputTokensBody, request.body)
    if isinstance(body, Problem):
        return body
    read = _read_conversation(body, store)
    if isinstance(read, Problem):
        return read

    def write(answer: Answer) -> dict[str, Any]:
        count = {} if answer.tokens is None else {"input_tokens": answer.tokens.input}
        return {"object": "response.input_tokens"} | count

    return Asked(_question_of(body, read.items, request), render=as_json(write))


@dataclass(frozen=True, slots=True)
class _Conversation:
    """All items of a conversation, and those before the request as they are kept."""

    items: Sequence[Item]
    context: list[dict[str, Any]]


def _read_conversation(
    body: InputTokensBody, store: ResponseStore
) -> _Conversation | Problem:
    context: list[dict[str, Any]] = []
    if body.previous_response_id is not None:
        previous = store.find(body.previous_response_id)
        if previous is None:
            return Problem(
                400,
                f"Previous response with id '{body.previous_response_id}' not found.",
                code="previous_response_not_found",
                param="previous_response_id",
            )
        context = previous.conversation
    items = [*_ITEMS.validate_python(context), *body.input]
    problem = find_unpaired(items) or check_tools(body.tools or (), body.tool_choice)
    return problem or _Conversation(items, context)


def _question_of(
    body: InputTokensBody, items: Sequence[Item], request: ReceivedRequest
) -> Question:
    """Put into the sandbox's own words what every body says."""
    said = [item for item in items if isinstance(item, MessageItem)]
    asked = [item for item in said if item.role == "user"]
    tools, tool_choice = choose(body.tools or (), body.tool_choice)
    return Question(
        model=body.model,
        text=asked[-1].text if asked else items[-1].text,
        input_tokens=count_words(body.instructions or "", *(i.text for i in items)),
        max_tokens=None,
        stream=False,
        schema=body.answer_schema,
        body=request.body.decode(errors="replace"),
        tools=tools,
        tool_choice=tool_choice,
        parallel_calls=body.parallel_tool_calls is not False,
        tool_results=_last_results(items),
        attachments=asked[-1].attachments if asked else (),
        thinking=body.thinking,
    )


def _last_results(items: Sequence[Item]) -> tuple[ToolResult, ...]:
    names = called_tools(items)
    results: list[ToolResult] = []
    for item in reversed(items):
        if not isinstance(item, CallOutput):
            break
        results.insert(0, ToolResult(names[item.call_id], item.text))
    return tuple(results)


def _as_items(sent: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": sent}] if isinstance(sent, str) else sent
