"""Streams that die and that another deployment goes on with."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from llm_proxy.errors import APIError, UnsupportedFeatureError
from llm_proxy.providers import LLMProvider, Translator
from llm_proxy.recovery import Question, Rest, Shown, show_held
from llm_proxy.routing import OpenStream, Router
from llm_proxy.seam import Seam
from llm_proxy.tokens import count_tokens
from llm_proxy.types import ChatRequest, Chunk, ThinkingDelta, said
from llm_proxy.wire import Inquiry, Passage

_INSTRUCTION = (
    "Your last message broke off in the middle. Continue it exactly where it stopped, "
    "beginning with the very next characters. Do not repeat anything of it, do not "
    "start over, and do not comment on this."
)


async def show_chat(
    router: Router, question: Question[Chunk], request: ChatRequest
) -> Shown[Chunk]:
    """Open a stream in the canonical form, and recover it as its route says.

    Args:
        router: Finds who answers.
        question: What is asked.
        request: The same in the canonical form.

    Returns:
        The stream.

    Raises:
        APIError: Nobody answered.
    """
    if question.route.stream_recovery != "continue":
        return await show_held(router, question)
    opened = await router.open(
        question.route, question.ask, question.has_content, question.trace
    )
    rest = _Continued(router, request, opened)
    return Shown(opened.first, rest, opened.source)


async def show_relay(
    router: Router, question: Question[Passage], inquiry: Inquiry
) -> Shown[Passage]:
    """Open a stream in a caller's dialect, and recover it as its route says.

    One that may be gone on with is translated even where the caller's dialect is the
    upstream's: the bytes of two upstreams cannot be joined.

    Args:
        router: Finds who answers.
        question: What is asked.
        inquiry: The same in the caller's dialect.

    Returns:
        The stream in that dialect.

    Raises:
        APIError: Nobody answered.
    """
    route = question.route
    request = _canonical(inquiry) if route.stream_recovery == "continue" else None
    if request is None:
        return await show_held(router, question)
    chunks = Question(
        route, lambda provider: provider.converse(request), _says, question.trace
    )
    shown = await show_chat(router, chunks, request)
    translator = Translator(inquiry)
    first = (translator.write(shown.first),)
    return Shown(first, _Translation(shown.rest, translator), shown.source)


class _Continued:
    """Goes on with a stream of text where it has died.

    Args:
        router: Finds who goes on.
        request: What is asked.
        opened: The first stream.
    """

    def __init__(
        self,
        router: Router,
        request: ChatRequest,
        opened: OpenStream[Chunk],
    ) -> None:
        self._router = router
        self._request = request
        self._opened = opened
        self._seam: Seam | None = None
        self._texts: list[str] = []
        self._can_go_on = _can_go_on(request)
        self._note(opened.first)

    async def __anext__(self) -> Sequence[Chunk]:
        """Wait for the next batch, from whoever gives it."""
        while True:
            try:
                batch = await anext(self._opened.rest)
            except APIError as error:
                batch = await self._go_on(error)
            if batch := self._join(batch):
                self._note(batch)
                return batch

    async def aclose(self) -> None:
        """Stop."""
        await self._opened.rest.aclose()

    def _note(self, batch: Sequence[Chunk]) -> None:
        for chunk in batch:
            if chunk.text:
                self._texts.append(chunk.text)
            # Half a tool call cannot be gone on with, and what is over need not be.
            begun = chunk.delta is not None and not isinstance(
                chunk.delta, ThinkingDelta
            )
            if begun or chunk.finish_reason is not None:
                self._can_go_on = False

    async def _go_on(self, error: APIError) -> Sequence[Chunk]:
        text = "".join(self._texts)
        if not (self._can_go_on and text.strip()):
            raise error
        request = self._request
        used = 0
        if request.max_tokens is not None:
            # The first count loads a vocabulary, for which nobody else should wait.
            model = self._opened.source.target.model
            used = await asyncio.to_thread(count_tokens, [text], model)

        def ask(provider: LLMProvider) -> AsyncGenerator[Sequence[Chunk], None]:
            return provider.converse(continuation(request, text, used, provider))

        try:
            self._opened = await self._router.reopen(
                self._opened.source, error, ask, _goes_on
            )
        except APIError as failure:
            # What has happened to the answer says more than that nobody went on.
            raise error from failure
        self._seam = Seam(text)
        return self._opened.first

    def _join(self, batch: Sequence[Chunk]) -> Sequence[Chunk]:
        """Leave out what the second half repeats, and what it thinks about it."""
        if self._seam is None:
            return batch
        joined: list[Chunk] = []
        for chunk in batch:
            if isinstance(chunk.delta, ThinkingDelta):
                continue
            text = self._seam.add(chunk.text) if chunk.text else ""
            if chunk.finish_reason is not None:
                text += self._seam.close()
            chunk = chunk._replace(text=text)
            if any(chunk):
                joined.append(chunk)
        return joined


class _Translation:
    """Writes a canonical stream in a caller's dialect.

    Args:
        rest: The stream.
        translator: Writes it.
    """

    def __init__(self, rest: Rest[Chunk], translator: Translator) -> None:
        self._rest = rest
        self._translator = translator
        self._is_over = False

    async def __anext__(self) -> Sequence[Passage]:
        """Wait for the next batch, and after the last one write the end."""
        if self._is_over:
            raise StopAsyncIteration
        try:
            return (self._translator.write(await self._rest.__anext__()),)
        except StopAsyncIteration:
            self._is_over = True
            return (self._translator.end(),)

    async def aclose(self) -> None:
        """Stop."""
        await self._rest.aclose()


def _can_go_on(request: ChatRequest) -> bool:
    """Say whether an answer to a request may be made of two halves.

    Args:
        request: The request.

    Returns:
        False where its form as a whole is promised: JSON would begin anew.
    """
    form = request.response_format
    return form is None or not form.required


def continuation(
    request: ChatRequest, text: str, used: int, provider: LLMProvider
) -> ChatRequest:
    """Ask for the rest of an answer.

    Args:
        request: What was asked.
        text: What was answered so far.
        used: Its tokens.
        provider: Who is asked; some go on by themselves from the beginning of an
            answer, others have to be told.

    Returns:
        The request for the rest, which may begin with the white space at the end of
        `text`: Anthropic refuses prefills that end with any.
    """
    turns = [said("assistant", text.rstrip())]
    if not provider.prefills:
        turns.append(said("user", _INSTRUCTION))
    most = request.max_tokens
    if most is not None:
        most = max(1, most - used)
    return replace(
        request,
        messages=(*request.messages, *turns),
        max_tokens=most,
        # It has been thought about; and prefills are refused while thinking.
        reasoning=None,
    )


def _canonical(inquiry: Inquiry) -> ChatRequest | None:
    """Translate a request, if what it asks for can be said in all dialects."""
    try:
        return inquiry.request
    except UnsupportedFeatureError:
        return None


def _says(chunk: Chunk) -> bool:
    return bool(chunk.text or chunk.delta or chunk.finish_reason)


def _goes_on(chunk: Chunk) -> bool:
    # The first half may have lacked nothing but its end.
    return bool(chunk.text or chunk.finish_reason)
