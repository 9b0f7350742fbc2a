"""What a model of the sandbox is: a name for a way to reply."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from llm_proxy.providers.sandbox.answers import answer_in_words
from llm_proxy.providers.sandbox.codings import CODINGS
from llm_proxy.providers.sandbox.conversation import Answer, Question
from llm_proxy.providers.sandbox.dialect import Dialect, Problem
from llm_proxy.providers.sandbox.framing import SSE
from llm_proxy.providers.sandbox.reply import (
    Reply,
    Step,
    answer_reply,
    problem_reply,
)

_MARK = "\ufffc"
_MOST_COUNTED = 1000


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question, and what is needed to reply to it in any way.

    Attributes:
        dialect: The vendor's JSON.
        question: What was asked.
        answer: What a well-behaved model says.
        request_id: The same for the same request.
        number: The number at the end of the model's name.
        failures: How often which request has failed; it lives as long as the sandbox.
    """

    dialect: Dialect
    question: Question
    answer: Answer
    request_id: str
    number: int
    failures: Counter[str]

    def reply(self, answer: Answer) -> Reply:
        """Put an answer into the form that was asked for."""
        return answer_reply(self.dialect, self.question, answer, self.request_id)

    def problem(self, problem: Problem) -> Reply:
        """Put a problem into the vendor's words."""
        return problem_reply(self.dialect, problem, self.request_id)

    def error_event(self, problem: Problem) -> bytes:
        """Put a problem into an event of a stream."""
        return self.dialect.error_event(problem, self.request_id)


Behaviour = Callable[[Exchange], Reply]


@dataclass(frozen=True, slots=True)
class Model:
    """A behaviour that can be asked for by name.

    Attributes:
        summary: What it does, for people.
        behave: Decides on a reply.
        number: Its name may end in ``-N``; this is N if the name does not say.
        streams_only: It says something about streams alone.
    """

    summary: str
    behave: Behaviour
    number: int | None = None
    streams_only: bool = False


def well_behaved(exchange: Exchange) -> Reply:
    """Give the answer, as it is.

    Args:
        exchange: What was asked.

    Returns:
        The whole answer.
    """
    return exchange.reply(exchange.answer)


def failing(problem: Problem) -> Behaviour:
    """Give an error status instead of an answer.

    Args:
        problem: What the error says.

    Returns:
        The behaviour.
    """
    return lambda exchange: exchange.problem(problem)


def flaky(fail: Behaviour, times: Callable[[int], int]) -> Behaviour:
    """Fail a few times, answer, and start again.

    Args:
        fail: How it fails.
        times: How often, by the number at the end of the model's name.

    Returns:
        The behaviour; each request body counts for itself.
    """

    def behave(exchange: Exchange) -> Reply:
        failures, request = exchange.failures, exchange.request_id
        if failures[request] >= times(exchange.number):
            del failures[request]
            return well_behaved(exchange)
        if len(failures) >= _MOST_COUNTED:
            failures.clear()
        failures[request] += 1
        return fail(exchange)

    return behave


def altered(alter: Callable[[Answer], Answer]) -> Behaviour:
    """Give another answer.

    Args:
        alter: Makes it from the usual one.

    Returns:
        The behaviour.
    """
    return lambda exchange: exchange.reply(alter(exchange.answer))


def spoken(alter: Callable[[Answer], Answer]) -> Behaviour:
    """Give another answer in words, even where the usual one would be a call.

    Args:
        alter: Makes it from the words of a well-behaved model.

    Returns:
        The behaviour.
    """

    def behave(exchange: Exchange) -> Reply:
        answer = answer_in_words(exchange.question, exchange.request_id)
        return exchange.reply(alter(answer))

    return behave


def scripted(script: Callable[[Exchange, list[bytes]], Iterable[Step]]) -> Behaviour:
    """Give the answer in unusual steps.

    Args:
        script: Gets the events of a stream, or the two halves of a plain body, and
            returns what to send instead.

    Returns:
        The behaviour.
    """

    def behave(exchange: Exchange) -> Reply:
        reply = well_behaved(exchange)
        parts = _bytes_of(reply)
        if not exchange.question.stream:
            middle = len(parts[0]) // 2
            parts = [parts[0][:middle], parts[0][middle:]]
        return _without_length(reply, script(exchange, parts))

    return behave


def stuffed(
    make_text: Callable[[int], Iterable[bytes]], *, quoted: bool = True
) -> Behaviour:
    """Give an answer whose text is made of bytes that no JSON encoder would write.

    Args:
        make_text: Makes these bytes from the number at the end of the model's name.
        quoted: They stand in a JSON string; else in the place of one.

    Returns:
        The behaviour.
    """
    mark = spoken(_mark)
    text = (_MARK if quoted else f'"{_MARK}"').encode()

    def behave(exchange: Exchange) -> Reply:
        reply, filling = mark(exchange), [*make_text(exchange.number)]
        framing = exchange.dialect.framing if exchange.question.stream else SSE
        parts, steps = _bytes_of(reply), list[bytes]()
        marked = [part for part in parts if text in part] or parts[-1:]
        for part in parts:
            steps.extend(
                framing.fill(part, text, filling) if part in marked else [part]
            )
        return _without_length(reply, steps)

    return behave


def rewritten(behaviour: Behaviour, change: Callable[[bytes], bytes]) -> Behaviour:
    """Change the JSON of a reply, and in a stream that of every event.

    Args:
        behaviour: Makes the reply.
        change: Gets JSON, or what a stream has in its place, and returns something.

    Returns:
        The behaviour.
    """

    def behave(exchange: Exchange) -> Reply:
        reply, framing = behaviour(exchange), exchange.dialect.framing
        parts = _bytes_of(reply)
        if exchange.question.stream:
            steps = [framing.rewrite(part, change) for part in parts]
        else:
            steps = [change(part) for part in parts]
        return _without_length(reply, steps)

    return behave


def compressed(behaviour: Behaviour, coding: str) -> Behaviour:
    """Compress a reply, whatever the client accepts.

    Args:
        behaviour: Makes the reply.
        coding: A key of `CODINGS`.

    Returns:
        The behaviour.
    """

    def behave(exchange: Exchange) -> Reply:
        reply = behaviour(exchange)
        smaller = _without_length(reply, CODINGS[coding](_bytes_of(reply)))
        return replace(smaller, headers={**smaller.headers, "content-encoding": coding})

    return behave


def with_headers(
    behaviour: Behaviour, headers: Callable[[int], dict[str, str]]
) -> Behaviour:
    """Add headers to a reply, or replace some.

    Args:
        behaviour: Makes the reply.
        headers: Makes them from the number at the end of the model's name.

    Returns:
        The behaviour.
    """

    def behave(exchange: Exchange) -> Reply:
        reply = behaviour(exchange)
        return replace(reply, headers={**reply.headers, **headers(exchange.number)})

    return behave


def _mark(answer: Answer) -> Answer:
    return replace(answer, pieces=(_MARK,), copies=1, top_logprobs=None)


def _bytes_of(reply: Reply) -> list[bytes]:
    return [step for step in reply.steps if isinstance(step, bytes)]


def _without_length(reply: Reply, steps: Iterable[Step]) -> Reply:
    headers = {k: v for k, v in reply.headers.items() if k != "content-length"}
    return Reply(reply.status, headers, tuple(steps))
