"""The interface behind which all providers are interchangeable."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence

from llm_proxy.types import ChatRequest, ChatResponse, Chunk, Message


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
        answer = await self.complete(request)
        yield [Chunk(answer.text, answer.finish_reason, answer.usage, answer.model)]

    async def generate_response(self, prompt: str) -> str:
        """Answer one prompt with plain text.

        Args:
            prompt: Sent as the single user message.

        Returns:
            The answer's text.

        Raises:
            APIError: As `complete`.
        """
        request = ChatRequest(messages=(Message("user", prompt),))
        return (await self.complete(request)).text
