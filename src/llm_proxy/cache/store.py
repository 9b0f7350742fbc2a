"""Where entries are kept."""

from typing import Protocol

from llm_proxy.cache.entry import Entry

# For how long it is remembered how often a question was asked: as long as an answer is
# kept at the most.
COUNTING_SECONDS = 86_400.0


class Store(Protocol):
    """Keeps entries, for one process or for several; it never fails."""

    async def get(self, tenant: str, key: str) -> Entry | None:
        """Look for an entry.

        Args:
            tenant: Whose it is.
            key: Its `cache_key`.

        Returns:
            The entry; None if there is none, or nobody can say.
        """
        ...

    async def put(
        self, tenant: str, key: str, entry: Entry, ttl_seconds: float
    ) -> None:
        """Keep an entry, if there is a place for it.

        Args:
            tenant: Whose it is.
            key: Its `cache_key`.
            entry: The entry.
            ttl_seconds: For how long.
        """
        ...

    async def seen(self, tenant: str, key: str) -> int:
        """Count a question.

        Args:
            tenant: Who asks.
            key: The `cache_key` of its answer.

        Returns:
            How often it was asked within a day, this time included; 0 if nobody can
            say.
        """
        ...

    async def purge(self, tenant: str | None) -> int:
        """Forget entries; what is being answered meanwhile may be kept afterwards.

        Args:
            tenant: Whose; None for everybody's.

        Returns:
            How many they were, as far as that is known.

        Raises:
            StorageUnavailableError: They may still be there.
        """
        ...
