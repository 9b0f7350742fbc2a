"""The road of a call: admit, answer, settle. The only file that knows all the steps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llm_proxy.errors import LLMBadResponseError, PromptInjectionError
from llm_proxy.exchange import Call, Exchange, Exchanges, LiveAnswer
from llm_proxy.guardrails import Guardrails, Verdict
from llm_proxy.routing import Catalog, CatalogEntry, Route, Router
from llm_proxy.tasks import (
    Task,
    TaskResult,
    Templates,
    UnusableAnswerError,
    read_answer,
)
from llm_proxy.telemetry import get_logger
from llm_proxy.types import ChatRequest, Message, Principal

_log = get_logger(__name__)
_TASK_ATTEMPTS = 2


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

    def route(self, provider: str, model: str) -> Route:
        """Find where a call goes; see `Catalog.route`."""
        return self._catalog.route(provider, model)

    def models(self) -> list[CatalogEntry]:
        """List what callers may ask for; see `Catalog.entries`."""
        return self._catalog.entries()

    async def chat(self, call: Call) -> Answer:
        """Answer a call completely.

        Args:
            call: What is asked.

        Returns:
            The answer.

        Raises:
            APIError: The guardrails refused, the service is full, or nobody answered.
        """
        verdict = self._inspect(call.feature, _texts(call.request))
        return await self._answer(_with_texts(call, verdict.texts), verdict)

    async def stream(self, call: Call) -> LiveAnswer:
        """Answer a call while the answer grows.

        Args:
            call: What is asked.

        Returns:
            The answer under way, which has its first text; the caller must iterate it
            to its end or close it.

        Raises:
            APIError: As `chat`. What goes wrong later is raised by the iteration.
        """
        verdict = self._inspect(call.feature, _texts(call.request))
        call = _with_texts(call, verdict.texts)
        exchange = self._exchanges.open(call)
        try:
            opened = await self._router.stream(call.route, call.request)
        except BaseException as error:
            exchange.settle(error)
            raise
        return LiveAnswer(opened, exchange, verdict, self._stream_seconds)

    async def process(self, task: Task, principal: Principal) -> TaskAnswer:
        """Do a task: make its prompt, ask the default model, read the result.

        Args:
            task: What to do with which text.
            principal: Who asks.

        Returns:
            The result. An answer that cannot be used is asked for once more.

        Raises:
            LLMBadResponseError: The second answer was no use either.
            APIError: As `chat`.
        """
        feature = f"webhook.{task.type}"
        verdict = self._inspect(feature, (task.prompt,))
        rendered = self._templates.render(replace(task, prompt=verdict.texts[0]))
        call = Call(
            principal=principal,
            feature=feature,
            route=self._catalog.default_route(),
            request=ChatRequest(
                messages=(Message("user", rendered.prompt),),
                system=rendered.system,
                response_schema=rendered.response_schema,
            ),
        )
        for _ in range(_TASK_ATTEMPTS):
            answer = await self._answer(call, verdict)
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
        return (await self.process(task, Principal("internal"))).result.summary

    async def _answer(self, call: Call, verdict: Verdict) -> Answer:
        exchange = self._exchanges.open(call)
        try:
            reply = await self._router.complete(call.route, call.request)
        except BaseException as error:
            exchange.settle(error)
            raise
        exchange.answered(reply)
        return Answer(reply.response.text, exchange, verdict)

    def _inspect(self, feature: str, texts: Sequence[str]) -> Verdict:
        """Let the guardrails look at what a caller sends; log kinds, never text."""
        length = sum(map(len, texts))
        _log.debug("Processing prompt (length: %d chars)", length, feature=feature)
        verdict = self._guards.inspect(texts)
        if verdict.pii:
            _log.warning("pii_detected", kinds=verdict.pii, feature=feature)
        if verdict.action == "redact":
            self._exchanges.metrics.observe_pii(verdict.pii)
        if verdict.injection:
            _log.warning(
                "prompt_injection_detected",
                patterns=verdict.injection,
                action=verdict.action,
                length=length,
                feature=feature,
            )
        if verdict.action == "block":
            raise PromptInjectionError(details={"patterns": verdict.injection})
        return verdict


def _texts(request: ChatRequest) -> list[str]:
    texts = [message.content for message in request.messages]
    return texts if request.system is None else [*texts, request.system]


def _with_texts(call: Call, texts: Sequence[str]) -> Call:
    """Put back what the guardrails made of the texts."""
    request = call.request
    if list(texts) == _texts(request):
        return call
    messages = tuple(
        replace(message, content=text)
        for message, text in zip(request.messages, texts, strict=False)
    )
    system = None if request.system is None else texts[-1]
    return replace(call, request=replace(request, messages=messages, system=system))
