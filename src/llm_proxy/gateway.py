"""The road of a call: admit, answer, settle. The only file that knows all the steps."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter

from llm_proxy.answers import Answer, StreamedAnswer, TaskAnswer
from llm_proxy.cache import Cache, Lookup
from llm_proxy.caching import Caching, Replayed, ReplayedAnswer, after_look, replayed
from llm_proxy.call import Call
from llm_proxy.continuation import show_chat, show_relay
from llm_proxy.delivery import F
from llm_proxy.demand import Demand, demand_of_chat, demand_of_inquiry
from llm_proxy.errors import LLMBadResponseError
from llm_proxy.exchange import Exchange, Exchanges
from llm_proxy.guardrails import Verdict
from llm_proxy.inspection import Inspection
from llm_proxy.live_answer import LiveAnswer
from llm_proxy.providers import Errand
from llm_proxy.recovery import Shown, show
from llm_proxy.routing import Catalog, Reply, Router, Trace
from llm_proxy.tasks import (
    Task,
    Templates,
    UnusableAnswerError,
    read_answer,
)
from llm_proxy.telemetry import get_logger
from llm_proxy.types import ChatRequest, Chunk, Principal
from llm_proxy.wire import Inquiry, Passage
from llm_proxy.wire.replay import replay, replay_events

_log = get_logger(__name__)
_TASK_ATTEMPTS = 2
_has_content = attrgetter("has_content")


class Gateway:
    """Takes calls in, gets them answered, and accounts for them.

    Args:
        router: Finds a deployment that answers.
        catalog: Knows the route of calls that name no model.
        inspection: Looks at what callers send.
        templates: Turn tasks into prompts.
        cache: Has answers to earlier calls; None where nothing is cached.
        exchanges: Account for the calls.
        stream_seconds: The most that a streamed answer may take.
    """

    def __init__(  # noqa: PLR0913 - the road has this many steps
        self,
        *,
        router: Router,
        catalog: Catalog,
        inspection: Inspection,
        templates: Templates,
        cache: Cache | None,
        exchanges: Exchanges,
        stream_seconds: float,
    ) -> None:
        self._router = router
        self._catalog = catalog
        self._inspection = inspection
        self._templates = templates
        self._caching = Caching(cache)
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
        verdict = self._inspection.inspect(call.feature, request.texts)
        return await self._answer(call, request.with_texts(verdict.texts), verdict)

    async def stream(self, call: Call, request: ChatRequest) -> StreamedAnswer[Chunk]:
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
        verdict = self._inspection.inspect(call.feature, request.texts)
        request = request.with_texts(verdict.texts)
        looking = self._caching.look_up(call, request, verdict, stream=True)
        with await looking as lookup:
            if (entry := lookup.entry) is not None:
                account = replayed(call, lookup, entry)
                return self._replay(entry.chunks, account, verdict)
            call = after_look(call, lookup)
            with await self._exchanges.open(call, demand_of_chat(request)) as exchange:
                question = exchange.question(
                    lambda provider: provider.stream(request), _has_text
                )
                shown = await show_chat(self._router, question, request)
                return self._live(shown, exchange, verdict, lookup)

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
        verdict = self._inspection.watch(call.feature, inquiry)
        with await self._caching.look_up(call, inquiry, verdict) as lookup:
            if (entry := lookup.entry) is not None:
                account = replayed(call, lookup, entry)
                body = replay(inquiry.surface.name, entry.body, inquiry.asked)
                return Reply(account.target, Passage(body, has_content=True))
            call = after_look(call, lookup)
            demand = demand_of_inquiry(inquiry)
            with await self._exchanges.open(call, demand) as exchange:
                reply = await self._router.ask(
                    exchange.route, lambda provider: provider.relay(inquiry), call.trace
                )
                passage = await exchange.answered(reply)
                await lookup.keep(exchange, passage.data, passage.headers)
                return reply

    async def relay_stream(
        self, call: Call, inquiry: Inquiry
    ) -> StreamedAnswer[Passage]:
        """Answer a program in its own dialect while the answer grows.

        Args:
            call: Who asks whom.
            inquiry: What is asked, streamed.

        Returns:
            As `stream`.

        Raises:
            APIError: As `relay`.
        """
        verdict = self._inspection.watch(call.feature, inquiry)
        looking = self._caching.look_up(call, inquiry, verdict, stream=True)
        with await looking as lookup:
            if (entry := lookup.entry) is not None:
                account = replayed(call, lookup, entry)
                events = replay_events(inquiry.surface.name, entry.body, inquiry.asked)
                passage = Passage(events, has_content=True)
                return self._replay((passage,), account, verdict)
            call = after_look(call, lookup)
            demand = demand_of_inquiry(inquiry)
            with await self._exchanges.open(call, demand) as exchange:
                question = exchange.question(
                    lambda provider: provider.relay_stream(inquiry), _has_content
                )
                shown = await show_relay(self._router, question, inquiry)
                return self._live(shown, exchange, verdict, lookup)

    async def forward(
        self, call: Call, errand: Errand, demand: Demand
    ) -> LiveAnswer[Passage]:
        """Let an upstream's other endpoint answer a program.

        Args:
            call: Who asks whom.
            errand: What is asked.
            demand: How much may be used for it.

        Returns:
            As `stream`.

        Raises:
            APIError: The service is full, or nobody answered.
        """
        with await self._exchanges.open(call, demand) as exchange:
            question = exchange.question(
                lambda provider: provider.forward(errand), _has_content
            )
            shown = await show(self._router, question)
            return self._live(shown, exchange, Verdict("allow", ()))

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
        verdict = self._inspection.inspect(call.feature, (task.prompt,))
        rendered = self._templates.render(replace(task, prompt=verdict.texts[0]))
        request = rendered.request
        read = partial(read_answer, task)
        started = time.perf_counter()
        for _ in range(_TASK_ATTEMPTS):
            route = call.route.after(time.perf_counter() - started)
            call = replace(call, route=route)
            try:
                answer = await self._answer(call, request, verdict, read)
                result = read(answer.text)
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
        self,
        call: Call,
        request: ChatRequest,
        verdict: Verdict,
        check: Callable[[str], object] = str,
    ) -> Answer:
        with await self._caching.look_up(call, request, verdict) as lookup:
            if (entry := lookup.entry) is not None:
                return Answer(entry.text, replayed(call, lookup, entry), verdict)
            call = after_look(call, lookup)
            with await self._exchanges.open(call, demand_of_chat(request)) as exchange:
                reply = await self._router.ask(
                    exchange.route,
                    lambda provider: provider.complete(request),
                    call.trace,
                )
                answer = await exchange.answered(reply)
                # What is of no use is not kept.
                check(answer.text)
                await lookup.keep(exchange, answer.text.encode())
                return Answer(answer.text, exchange, verdict)

    def _replay(
        self, pieces: Sequence[F], account: Replayed, verdict: Verdict
    ) -> ReplayedAnswer[F]:
        return ReplayedAnswer(pieces, account, verdict, self._stream_seconds)

    def _live(
        self,
        shown: Shown[F],
        exchange: Exchange,
        verdict: Verdict,
        lookup: Lookup | None = None,
    ) -> LiveAnswer[F]:
        seconds = exchange.route.total_seconds or self._stream_seconds
        recording = None if lookup is None else lookup.record()
        return LiveAnswer(shown, exchange, verdict, seconds, recording)


def _has_text(chunk: Chunk) -> bool:
    return bool(chunk.text.strip())
