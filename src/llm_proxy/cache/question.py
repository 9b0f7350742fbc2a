"""What is asked, as far as the answer depends on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_proxy.types import ChatRequest, SurfaceName


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, as far as the answer depends on it.

    Attributes:
        surface: The surface that it came through.
        feature: Which part of the product is used, such as ``webhook.summary``; finer
            than the surface.
        asked: The canonical request, after the guardrails; on `/v1` all fields of the
            caller's JSON.
        targets: Who may answer, as ``provider/model``, in order.
        stream: Whether the answer comes as events.
        headers: What an upstream gets of the caller's headers.
        has_pii: Whether personal data was found in it.
    """

    surface: SurfaceName
    feature: str
    asked: ChatRequest | Mapping[str, Any]
    targets: Sequence[str]
    stream: bool = False
    headers: Sequence[tuple[str, str]] = ()
    has_pii: bool = False
