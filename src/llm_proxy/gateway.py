"""The road of a call: admit, answer, settle. The only file that knows all the steps."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from llm_proxy.continuation import show_chat, show_relay
from llm_proxy.errors import LLMBadResponseError, PromptInjectionError
from llm_proxy.exchange import Call, Exchange, Exchanges, F
from llm_proxy.guardrails import Guardrails, Verdict
from llm_proxy.live_answer import LiveAnswer
from llm_proxy.providers import Errand
from llm_proxy.recovery import Shown, show
from llm_proxy.routing import Catalog, Reply, Router, Trace
from llm_proxy.tasks import (
    RenderedTask,
    Task,
    TaskResult,
    Templates,
    UnusableAnswerError,
    read_answer,
)
from llm_proxy.telemetry import get_logger
from llm_proxy.types import ChatRequest, Chunk, Principal, ResponseFormat, said
from llm_proxy.wire import Inquiry, Passage, latest_texts

_log = get_logger(__name__)
_TASK_ATTEMPTS = 2
_has_content = attrgetter("has_content")


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer.

    Attributes:
        text: What the model says.
        exchange: The account of the call: who answered, with which usage.
        verdict: What the guardrails said of the question.
    """

    text: str
    exchange: Exchange
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class TaskAnswer:
    """The processed answer to a task, and the answer behind it."""

    result: TaskResult
    answer: Answer
    template_version: str


class Gateway:
    """Takes calls in, gets them answered, and accounts for them.

    Args:
        router: Finds a deployment that answers.
        catalog: Knows the route of calls that name no model.
        guards: Look at what callers send.
        templates: Turn tasks into prompts.
        exchanges: Account for the calls.
        stream_seconds: The most that a streamed answer may take.
    """

    def __init__(  # noqa: PLR0913 - the road has this many steps
        self,
        *,
        router: Router,
        catalog: Catalog,
        guards: Guardrails,
        templates: Templates,
        exchanges: Exchanges,
        stream_seconds: float,
    ) -> None:
        self._router = router
        self._catalog = catalog
        self._guards = guards
        self._templates = templates
        self._exchanges = exchanges
        self._stream_seconds = stream_seconds

    async def chat(self, call: Call, request: ChatRequest) -> Answer:
        """Answer a call completely.

        Args:
            call: Who asks whom.
            request: What is asked.

        Returns:
            The answer.

        Raises:
            APIError: The guardrails refused, the service is full, or nobody answered.
        """
        verdict = self._inspect(call.feature, request.texts)
        return await self._answer(call, request.with_texts(verdict.texts), verdict)

    async def stream(self, call: Call, request: ChatRequest) -> LiveAnswer[Chunk]:
        """Answer a call while the answer grows.

        Args:
            call: Who asks whom.
            request: What is asked.

        Returns:
            The answer under way, which has its first text; the caller must iterate it
            to its end or close it.

        Raises:
            APIError: As `chat`. What goes wrong later is raised by the iteration.
        """
        verdict = self._inspect(call.feature, request.texts)
        request = request.with_texts(verdict.texts)
        with await self._exchanges.open(call) as exchange:
            question = exchange.question(
                lambda provider: provider.stream(request), _has_text
            )
            shown = await show_chat(self._router, question, request)
            return self._live(shown, exchange, verdict, call)

    async def relay(self, call: Call, inquiry: Inquiry) -> Reply[Passage]:
        """Answer a program in its own dialect.

        Args:
            call: Who asks whom.
            inquiry: What is asked, not streamed.

        Returns:
            The complete answer, and who gave it.

        Raises:
            APIError: As `chat`, but guardrails only flag.
        """
        self._watch(call.feature, inquiry)
        with await self._exchanges.open(call) as exchange:
            reply = await self._router.ask(
                exchange.route, lambda provider: provider.relay(inquiry), call.trace
            )
            await exchange.answered(reply)
            return reply

    async def relay_stream(self, call: Call, inquiry: Inquiry) -> LiveAnswer[Passage]:
        """Answer a program in its own dialect while the answer grows.

        Args:
            call: Who asks whom.
            inquiry: What is asked, streamed.

        Returns:
            As `stream`.

        Raises:
            APIError: As `relay`.
        """
        verdict = self._watch(call.feature, inquiry)
        with await self._exchanges.open(call) as exchange:
            question = exchange.question(
                lambda provider: provider.relay_stream(inquiry), _has_content
            )
            shown = await show_relay(self._router, question, inquiry)
            return self._live(shown, exchange, verdict, call)

    async def forward(self, call: Call, errand: Errand) -> LiveAnswer[Passage]:
        """Let an upstream's other endpoint answer a program.

        Args:
            call: Who asks whom.
            errand: What is asked.

        Returns:
            As `stream`.

        Raises:
            APIError: The service is full, or nobody answered.
        """
        with await self._exchanges.open(call) as exchange:
            question = exchange.question(
                lambda provider: provider.forward(errand), _has_content
            )
            shown = await show(self._router, question)
            return self._live(shown, exchange, Verdict("allow", ()), call)

    async def process(self, task: Task, call: Call) -> TaskAnswer:
        """Do a task: make its prompt, ask a model, read the result.

        Args:
            task: What to do with which text.
            call: Who asks whom.

        Returns:
            The result. An answer that cannot be used is asked for once more.

        Raises:
            LLMBadResponseError: The second answer was no use either.
            APIError: As `chat`.
        """
        verdict = self._inspect(call.feature, (task.prompt,))
        rendered = self._templates.render(replace(task, prompt=verdict.texts[0]))
        request = _task_request(rendered)
        started = time.perf_counter()
        for _ in range(_TASK_ATTEMPTS):
            route = call.route.after(time.perf_counter() - started)
            answer = await self._answer(replace(call, route=route), request, verdict)
            try:
                result = read_answer(task, answer.text)
            except UnusableAnswerError as error:
                problem = error
                _log.warning("task_answer_unusable", type=task.type, detail=str(error))
            else:
                return TaskAnswer(result, answer, rendered.version)
        raise LLMBadResponseError(log_detail="unusable task answer") from problem

    async def process_prompt(
        self,
        prompt: str,
        source: str | None = None,
        language: str | None = None,
        type: str | None = None,
    ) -> str:
        """Do a task and return its summary; the simple call of the documents.

        Args:
            prompt: The text.
            source: Where it comes from: email, meeting, document, chat or other.
            language: ISO 639-1 code of the language to answer in.
            type: What to do, as `/webhook` takes it.

        Returns:
            The result as readable text.

        Raises:
            APIError: As `process`.
        """
        task = Task.of(prompt, type=type, source=source, language=language)
        route = self._catalog.default_route(lambda: prompt)
        call = Call(Principal("internal"), f"webhook.{task.type}", route, Trace())
        return (await self.process(task, call)).result.summary

    async def _answer(
        self, call: Call, request: ChatRequest, verdict: Verdict
    ) -> Answer:
        with await self._exchanges.open(call) as exchange:
            reply = await self._router.ask(
                exchange.route, lambda provider: provider.complete(request), call.trace
            )
            answer = await exchange.answered(reply)
            return Answer(answer.text, exchange, verdict)

    def _live(
        self, shown: Shown[F], exchange: Exchange, verdict: Verdict, call: Call
    ) -> LiveAnswer[F]:
        seconds = call.route.total_seconds or self._stream_seconds
        return LiveAnswer(shown, exchange, verdict, seconds)

    def _watch(self, feature: str, inquiry: Inquiry) -> Verdict:
        texts = latest_texts(inquiry.asked.fields)
        verdict = self._guards.watch(texts)
        _warn_of_injection(verdict, feature, texts)
        return verdict

    def _inspect(self, feature: str, texts: Sequence[str]) -> Verdict:
        """Let the guardrails look at what a caller sends; log kinds, never text."""
        length = sum(map(len, texts))
        _log.debug("Processing prompt (length: %d chars)", length, feature=feature)
        verdict = self._guards.inspect(texts)
        if verdict.pii:
            _log.warning("pii_detected", kinds=verdict.pii, feature=feature)
        if verdict.action == "redact":
            self._exchanges.metrics.observe_pii(verdict.pii)
        _warn_of_injection(verdict, feature, texts)
        if verdict.action == "block":
            raise PromptInjectionError(details={"patterns": verdict.injection})
        return verdict


def _warn_of_injection(verdict: Verdict, feature: str, texts: Sequence[str]) -> None:
    if verdict.injection:
        facts = {"patterns": verdict.injection, "action": verdict.action}
        length = sum(map(len, texts))
        _log.warning(
            "prompt_injection_detected", length=length, feature=feature, **facts
        )


def _has_text(chunk: Chunk) -> bool:
    return bool(chunk.text.strip())


def _task_request(rendered: RenderedTask) -> ChatRequest:
    schema = rendered.response_schema
    return ChatRequest(
        (said("system", rendered.system), said("user", rendered.prompt)),
        response_format=(
            None if schema is None else ResponseFormat(schema, required=False)
        ),
    )
