"""The answers of a well-behaved sandbox: the same question, the same answer."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from llm_proxy.providers.sandbox.calls import call_all, wanted_tools
from llm_proxy.providers.sandbox.conversation import (
    Answer,
    Call,
    Ending,
    Question,
    Tokens,
    Tool,
)
from llm_proxy.providers.sandbox.dialect import cut_words
from llm_proxy.providers.sandbox.media import describe
from llm_proxy.providers.sandbox.schema import example_of
from llm_proxy.providers.sandbox.thinking import think_about

_QUOTED_WORDS = 12


def answer_to(question: Question, request_id: str) -> Answer:
    """Answer with the calls that the question asks for, or else with words.

    Args:
        question: What was asked.
        request_id: Becomes the answer's id.

    Returns:
        The answer, cut to the tokens that the question allows.
    """
    tools = wanted_tools(question)
    if tools:
        return answer_with_calls(tools, question, request_id)
    return answer_in_words(question, request_id)


def answer_in_words(question: Question, request_id: str) -> Answer:
    """Answer with a sentence that quotes the question, or with JSON if it asks for it.

    Args:
        question: What was asked.
        request_id: Becomes the answer's id.

    Returns:
        The answer without any call. It goes on from where the question has begun it,
        and ends before a text that is to stop it.
    """
    text = _text_for(question)
    if question.prefill:
        rest = text.removeprefix(question.prefill)
        text = rest if rest != text else f" {text}"
    kept, stop_sequence = _stop_before(text, question.stop)
    answer = answer_with(cut_words(kept), question, request_id)
    whole = answer.ending == "stop"
    return replace(answer, stop_sequence=stop_sequence if whole else None)


def answer_with(pieces: tuple[str, ...], question: Question, request_id: str) -> Answer:
    """Answer with given words.

    Args:
        pieces: The answer, one token each.
        question: What was asked.
        request_id: Becomes the answer's id.

    Returns:
        The answer, cut to the tokens that the question allows.
    """
    silent = _silence(question, request_id)
    allowed = pieces[: _tokens_left(question, silent)]
    ending: Ending = "stop" if len(allowed) == len(pieces) else "length"
    return counted(replace(silent, pieces=allowed, ending=ending))


def answer_with_calls(
    tools: Sequence[Tool], question: Question, request_id: str
) -> Answer:
    """Answer with nothing but calls.

    Args:
        tools: The tools to call, in order.
        question: Where the arguments come from.
        request_id: Becomes the answer's id, and the beginning of those of the calls.

    Returns:
        The answer, with as many of the calls as the allowed tokens are enough for.
    """
    silent = _silence(question, request_id)
    calls = call_all(tools, question, request_id)
    left = _tokens_left(question, silent)
    kept: list[Call] = []
    for call in calls:
        if left is not None:
            left -= len(call.pieces)
            if left < 0:
                return counted(replace(silent, calls=tuple(kept), ending="length"))
        kept.append(call)
    return counted(replace(silent, calls=calls, ending="tool_calls"))


def say(answer: Answer, pieces: Iterable[str] | None, ending: Ending | None) -> Answer:
    """Make a model say something else, without thinking or calling.

    Args:
        answer: What it would have said.
        pieces: What it says, one token each; None for no text at all.
        ending: Why it ends.

    Returns:
        The other answer, with its own usage.
    """
    said = None if pieces is None else tuple(pieces)
    other = replace(answer, pieces=said, ending=ending, calls=(), thinking=None)
    return counted(replace(other, stop_sequence=None))


def counted(answer: Answer) -> Answer:
    """Bring the usage of an answer into line with what it says.

    Args:
        answer: Any answer.

    Returns:
        The same answer with its words counted; if it reports no usage, the same.
    """
    if answer.tokens is None:
        return answer
    thought = answer.thinking.words if answer.thinking else 0
    called = sum(len(call.pieces) for call in answer.calls)
    words = thought + len(answer.pieces or ()) + called
    tokens = replace(
        answer.tokens, output=words * answer.copies, thinking=thought * answer.copies
    )
    return replace(answer, tokens=tokens)


def quote(text: str) -> str:
    """Quote the beginning of a text.

    Args:
        text: Any text.

    Returns:
        Its first words on one line, with an ellipsis if there are more.
    """
    words = text.split()
    beginning = " ".join(words[:_QUOTED_WORDS])
    return beginning if len(words) <= _QUOTED_WORDS else f"{beginning} …"


def _silence(question: Question, request_id: str) -> Answer:
    """Make an answer that says nothing yet; it may have been thought about."""
    return Answer(
        id=request_id,
        model=question.model,
        pieces=None,
        ending=None,
        tokens=Tokens(question.input_tokens, 0, cached=question.cached_tokens),
        thinking=think_about(question),
        copies=question.copies,
        top_logprobs=question.top_logprobs,
    )


def _tokens_left(question: Question, answer: Answer) -> int | None:
    if question.max_tokens is None:
        return None
    thought = answer.thinking.words if answer.thinking else 0
    return question.max_tokens - thought


def _text_for(question: Question) -> str:
    if question.schema is not None:
        example = example_of(question.schema, question.text)
        return json.dumps(example, ensure_ascii=False)
    if question.tool_results:
        said = [
            f'The tool {result.name} answered: "{quote(result.text)}"'
            for result in question.tool_results
        ]
    else:
        said = [f'The sandbox read: "{quote(question.text)}"']
    if question.attachments:
        said.append(f"It saw {describe(question.attachments)}.")
    return " ".join(said)


def _stop_before(text: str, stops: tuple[str, ...]) -> tuple[str, str | None]:
    """Cut a text before the first place where one of some texts begins."""
    found = [(text.find(stop), stop) for stop in stops if stop in text]
    if not found:
        return text, None
    place, stop = min(found)
    return text[:place], stop
