"""Who answers the requests with a key, and what the answer was."""

import uuid
from dataclasses import dataclass, field
from typing import Protocol

from llm_proxy.errors import IdempotencyConflictError, IdempotencyMismatchError

# As long as Stripe keeps them. Source: https://docs.stripe.com/api/idempotent_requests
KEPT_SECONDS = 86_400.0
# A process that dies frees its claims after this time. Processes on several machines
# compare their own clocks with it.
LEASE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to answer the requests with a key.

    Attributes:
        key: A digest of the key, and of all that it is only valid within.
        id: Tells this claim from those before it and after it.
    """

    key: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True, slots=True)
class SavedAnswer:
    """A whole answer.

    Attributes:
        status: The HTTP status.
        headers: Those that are true of the answer whenever it is sent.
        body: All of it, also of a stream.
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Earlier:
    """What is known of the first request with a key.

    Attributes:
        request: A digest of the request.
        answer: None while it is under way.
    """

    request: str
    answer: SavedAnswer | None

    def answer_to(self, request: str) -> SavedAnswer:
        """Answer another request with the key.

        Args:
            request: A digest of it.

        Returns:
            The answer to the first one.

        Raises:
            IdempotencyMismatchError: It is not the same request.
            IdempotencyConflictError: The first one is still under way.
        """
        if request != self.request:
            raise IdempotencyMismatchError
        if self.answer is None:
            raise IdempotencyConflictError(retry_after_seconds=1.0)
        return self.answer


class Store(Protocol):
    """Keeps claims while requests are under way, and then their answers for a day.

    Everything but `claim` does nothing with a claim that has been lost: to time, to
    whoever has taken it over, or to its own end.
    """

    async def claim(self, key: str, request: str) -> Claim | Earlier:
        """Claim a key, unless somebody has; of any number of callers one gets it.

        Args:
            key: As in `Claim`.
            request: A digest of the request.

        Returns:
            A claim, which expires after a minute; or what somebody else has made of
            the key.

        Raises:
            StorageUnavailableError: Nobody can tell.
        """
        ...

    async def renew(self, claim: Claim) -> bool:
        """Let a claim last for another minute from here on.

        Args:
            claim: Whose request is under way.

        Returns:
            Whether the claim still stood.

        Raises:
            StorageUnavailableError: Nobody can tell.
        """
        ...

    async def save(self, claim: Claim, answer: SavedAnswer) -> bool:
        """Put an answer in the place of a claim.

        Args:
            claim: Whose request is over.
            answer: The answer to it.

        Returns:
            Whether the claim still stood.

        Raises:
            StorageUnavailableError: Nobody can tell.
        """
        ...

    def release(self, claim: Claim) -> None:
        """Give a claim up, so that the next request with the key is the first.

        Returns at once. This process knows it from here on, others a moment later.

        Args:
            claim: Whose request is over.
        """
        ...
