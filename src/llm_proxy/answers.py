"""Answers, with what is known of them."""

from dataclasses import dataclass

from llm_proxy.caching import Replayed, ReplayedAnswer
from llm_proxy.delivery import F
from llm_proxy.exchange import Exchange
from llm_proxy.guardrails import Verdict
from llm_proxy.live_answer import LiveAnswer
from llm_proxy.tasks import TaskResult

StreamedAnswer = LiveAnswer[F] | ReplayedAnswer[F]


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer.

    Attributes:
        text: What the model says.
        exchange: The account of the call: who answered, with which usage.
        verdict: What the guardrails said of the question.
    """

    text: str
    exchange: Exchange | Replayed
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class TaskAnswer:
    """The processed answer to a task, and the answer behind it."""

    result: TaskResult
    answer: Answer
    template_version: str
