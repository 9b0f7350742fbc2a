"""Writes the wish that a prompt is cached."""

from typing import Any

from llm_proxy.types import CacheTTL


class CachePoints:
    """Writes the cache points of one request.

    Args:
        family: Whose model it is; most take no cache points.

    Attributes:
        dropped: Whether a wish was left out.
    """

    def __init__(self, family: str) -> None:
        self.dropped = False
        self._family = family

    def after_content(self, cache: CacheTTL | None) -> list[dict[str, Any]]:
        """Write the wish to cache the conversation up to here.

        Args:
            cache: How long; None is no wish.

        Returns:
            One block or none.
        """
        return self._point(cache, taken=self._family in ("amazon", "anthropic"))

    def after_tool(self, cache: CacheTTL | None) -> list[dict[str, Any]]:
        """Write the wish to cache the tools up to here, which Nova does not know.

        Args:
            cache: How long; None is no wish.

        Returns:
            One block or none.
        """
        return self._point(cache, taken=self._family == "anthropic")

    def _point(self, cache: CacheTTL | None, *, taken: bool) -> list[dict[str, Any]]:
        if cache is None:
            return []
        if not taken:
            self.dropped = True
            return []
        point = {"type": "default"}
        # Five minutes are the default, and Nova knows nothing else.
        if cache == "1h" and self._family == "anthropic":
            point["ttl"] = cache
        return [{"cachePoint": point}]
