"""Gives a log event its final shape: one line of JSON or of text."""

import json
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import orjson

from llm_proxy.telemetry.redaction import mask_credentials, mask_named

LogFormat = Literal["json", "text"]

LEVEL_NAMES = {
    "debug": "debug",
    "info": "info",
    "warning": "warn",
    "error": "error",
    "critical": "error",
}


class Renderer:
    """The last structlog processor: an event goes in, the bytes of a line come out.

    Args:
        service: Name of the service, on every line.
        environment: Where the service runs, on every line.
        format: Shape of the line.
    """

    def __init__(self, service: str, environment: str, format: LogFormat) -> None:
        self._service = service
        self._environment = environment
        self._encode = _ENCODERS[format]

    def __call__(
        self, _logger: object, method: str, event: MutableMapping[str, Any]
    ) -> bytes:
        """Render an event; never raises, because no log line may fail a request.

        Args:
            method: The logger's method that was called; it decides the level.
            event: The message under ``event``, and the fields that go with it.

        Returns:
            The line without its line end.
        """
        try:
            return self._render(method, event)
        except Exception as error:  # noqa: BLE001 - the line says what went wrong
            lost = {"event": "A log line was lost", "reason": type(error).__name__}
            return self._render("error", lost)

    def _render(self, method: str, event: MutableMapping[str, Any]) -> bytes:
        line = {
            "timestamp": datetime.now(UTC),
            "level": LEVEL_NAMES[method],
            "message": str(event.pop("event")),
            "requestId": None,
            "service": self._service,
            "environment": self._environment,
            **mask_named(event),
        }
        if method == "critical":
            line["alert"] = True
        return mask_credentials(self._encode(line))


def _encode_json(line: Any) -> bytes:  # noqa: ANN401 - whatever was logged
    try:
        return orjson.dumps(
            line, default=_describe, option=orjson.OPT_PASSTHROUGH_DATACLASS
        )
    except orjson.JSONEncodeError:
        # orjson refuses lone surrogates, integers over 64 bits and keys of other types.
        return json.dumps(
            line, default=_describe, skipkeys=True, allow_nan=False
        ).encode()


_IN_TEXT_HEAD = ("timestamp", "level", "module", "requestId", "message")
_NOT_EXTRA = frozenset({*_IN_TEXT_HEAD, "service", "environment", "exception"})


def _encode_text(line: dict[str, Any]) -> bytes:
    head = (
        f"[{line['timestamp']:%Y-%m-%d %H:%M:%S}] [{line['level'].upper()}]"
        f" [{line.get('module', '-')}] [{_printable(line['requestId'] or '-')}]"
        f" - {_printable(line['message'])}"
    )
    extras = (
        f" {name}={_printable(value)}"
        for name, value in line.items()
        if name not in _NOT_EXTRA and value is not None
    )
    # Indented, so that no line of a traceback can pass for a line of the log.
    traceback = (
        f"\n    {_printable(row)}" for row in line.get("exception", "").splitlines()
    )
    return "".join((head, *extras, *traceback)).encode()


def _printable(value: object) -> str:
    """Escape line ends and terminal codes, with which a caller could forge lines."""
    text = value if isinstance(value, str) else _encode_json(value).decode()
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text
    )


def _describe(value: object) -> str:
    """Name by its type what JSON cannot hold: its text might hold a prompt or a key."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else f"<{type(value).__name__}>"


_ENCODERS: dict[LogFormat, Callable[[dict[str, Any]], bytes]] = {
    "json": _encode_json,
    "text": _encode_text,
}
