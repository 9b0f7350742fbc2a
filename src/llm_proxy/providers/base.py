"""The interface behind which all providers are interchangeable."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from llm_proxy.errors import UnsupportedFeatureError
from llm_proxy.providers.readers import Translator
from llm_proxy.types import ChatRequest, ChatResponse, Chunk, said
from llm_proxy.wire import Inquiry, Passage, PassageReader, scatter


def _whole(body: bytes) -> Passage:
    return Passage(body, has_content=True)


@dataclass(frozen=True, slots=True)
class Errand:
    """A request to one of an upstream's endpoints besides chat.

    Attributes:
        path: The endpoint, below the base URL.
        body_for: Writes the body for an upstream's name of the model.
        content_type: The media type of the body.
        observe: Reads what must be known from a complete JSON answer.
        reader: Reads it from an answer of events; None where there are none.
        raw: Whether the answer may be anything, such as audio.
        method: The HTTP method.
        headers: Besides those that every request has.
        dialect: Upstreams that speak it have the endpoint.
    """

    path: str
    body_for: Callable[[str], bytes]
    content_type: str = "application/json"
    observe: Callable[[bytes], Passage] = _whole
    reader: Callable[[], PassageReader] | None = None
    raw: bool = False
    method: str = "POST"
    headers: Sequence[tuple[str, str]] = ()
    dialect: str = "openai_chat"


class LLMProvider(ABC):
    """One model of one upstream API.

    Args:
        model: The upstream's name of the model.
    """

    def __init__(self, model: str) -> None:
        self.model = model

    @abstractmethod
    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Ask once, without retries.

        Args:
            request: What to ask.

        Returns:
            The complete answer; its text is never empty.

        Raises:
            APIError: Drawn from the tree in `llm_proxy.errors`.
        """

    async def stream(
        self, request: ChatRequest
    ) -> AsyncGenerator[Sequence[Chunk], None]:
        """Ask once and hand out the answer while it grows.

        Args:
            request: What to ask.

        Yields:
            Batches of chunks: what one read from the network brought. The generator
            ends only when the answer is whole.

        Raises:
            APIError: Drawn from the tree in `llm_proxy.errors`, at any point.
        """
        yield scatter(await self.complete(request))

    def converse(self, request: ChatRequest) -> AsyncGenerator[Sequence[Chunk], None]:
        """Ask once as for callers of `/v1`, whose answers may be without text.

        Args:
            request: What to ask.

        Returns:
            As `stream`.

        Raises:
            APIError: As `stream`.
        """
        return self.stream(request)

    def check(self, inquiry: Inquiry) -> None:
        """Say whether the model can be asked something, without asking it.

        Args:
            inquiry: What would be asked.

        Raises:
            UnsupportedFeatureError: It cannot do what is asked for.
        """
        if not self.relays(inquiry.surface.name):
            # Reading it is all there is to find out.
            _ = inquiry.request

    @property
    def has_key(self) -> bool:
        """Whether a key of the operator's opens it."""
        return False

    @property
    def prefills(self) -> bool:
        """Whether the model goes on from the beginning of an answer of its own."""
        return False

    def relays(self, dialect: str) -> bool:
        """Say whether callers' bytes can pass through.

        Args:
            dialect: The name of the dialect they are in.

        Returns:
            Whether the upstream speaks it too.
        """
        return False

    async def relay(self, inquiry: Inquiry) -> Passage:
        """Ask once in the caller's dialect, or translate from and to it.

        Args:
            inquiry: What to ask, not streamed.

        Returns:
            The complete answer in the caller's dialect; it may be without text.

        Raises:
            APIError: Drawn from the tree in `llm_proxy.errors`.
        """
        answer = await self.complete(inquiry.request)
        data = inquiry.surface.encode_response(answer, inquiry.asked)
        return Passage(data, True, answer.finish_reason, answer.usage, answer.model)

    async def relay_stream(
        self, inquiry: Inquiry
    ) -> AsyncGenerator[Sequence[Passage], None]:
        """Ask once in the caller's dialect, or translate, while the answer grows.

        Args:
            inquiry: What to ask, streamed.

        Yields:
            Events in the caller's dialect. The generator ends only when the answer is
            whole, with what the dialect says then.

        Raises:
            APIError: Drawn from the tree in `llm_proxy.errors`, at any point.
        """
        translator = Translator(inquiry)
        async for chunks in self.stream(inquiry.request):
            yield [translator.write(chunks)]
        yield [translator.end()]

    def forward(self, errand: Errand) -> AsyncGenerator[Sequence[Passage], None]:
        """Ask an endpoint besides chat, once.

        Args:
            errand: What to ask.

        Returns:
            Yields the answer's bytes; the first passage has the headers and the
            content type.

        Raises:
            UnsupportedFeatureError: The upstream has no such endpoint.
            APIError: Drawn from the tree in `llm_proxy.errors`, at any point.
        """
        raise UnsupportedFeatureError(f"The model's provider has no {errand.path}")

    async def generate_response(self, prompt: str) -> str:
        """Answer one prompt with plain text.

        Args:
            prompt: Sent as the single user message.

        Returns:
            The answer's text.

        Raises:
            APIError: As `complete`.
        """
        request = ChatRequest(messages=(said("user", prompt),))
        return (await self.complete(request)).text
