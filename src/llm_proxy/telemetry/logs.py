"""Structured logs: every line of the process, libraries' included, goes down one road.

A standard library record is handed to a structlog logger, so that there is one chain
of processors, one renderer and one output.
"""

import asyncio
import logging
import sys
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Literal, Protocol

import structlog
from structlog.processors import format_exc_info
from structlog.typing import EventDict, FilteringBoundLogger

from llm_proxy.telemetry.rendering import LEVEL_NAMES, LogFormat, Renderer

LogLevel = Literal["debug", "info", "warn", "error"]

_request_id: ContextVar[str | None] = ContextVar("llm_proxy_request_id", default=None)


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What the operator decides about logs.

    Attributes:
        service: Name of the service, on every line.
        environment: Where the service runs, on every line.
        level: The least important level to write.
        format: ``json`` for machines, ``text`` for a developer's terminal.
        file: Where lines go; None is standard output.
        max_bytes: Size at which the file is rotated.
        backup_count: How many rotated files are kept.
    """

    service: str
    environment: str
    level: LogLevel = "info"
    format: LogFormat = "json"
    file: Path | None = None
    max_bytes: int = 10_000_000
    backup_count: int = 5


def configure_logging(config: LogConfig) -> None:
    """Give the lines of the whole process one level, one shape and one destination.

    A second call replaces the first, also for loggers that exist already.

    Args:
        config: Level, shape and destination.
    """
    level = logging.getLevelNamesMapping()[config.level.upper()]
    output = _File(config.file, config) if config.file else _StandardOutput()
    target = SimpleNamespace(**dict.fromkeys(LEVEL_NAMES, output.write))
    renderer = Renderer(config.service, config.environment, config.format)
    structlog.configure(
        processors=[_add_request_id, format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: target,
        cache_logger_on_first_use=False,
    )
    # Debug lines of libraries show headers and bodies: no environment wants them.
    logging.basicConfig(
        handlers=[_LibraryHandler(output)], level=max(level, logging.INFO), force=True
    )
    _quieten_libraries()


def settle_logging() -> None:
    """Say that this process will not configure logging again.

    From here on every logger keeps what it finds at its first line, which makes each
    line 3 µs cheaper.
    """
    structlog.configure(cache_logger_on_first_use=True)


def get_logger(name: str) -> FilteringBoundLogger:
    """Give a module its logger.

    Args:
        name: ``__name__`` of the module; it stands in its lines as ``module``.

    Returns:
        A logger that may be made at import time and follows `configure_logging`.
    """
    logger: FilteringBoundLogger = structlog.get_logger(module=name)
    return logger


class request_context:  # noqa: N801 - used like a function, as in contextlib
    """Puts a request's id into every line written inside a ``with`` block.

    One variable of its own, because structlog's walk over all context variables would
    cost more than the rest of a line.

    Args:
        request_id: The id the caller is told; tasks started inside inherit it.
    """

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id

    def __enter__(self) -> None:
        self._token = _request_id.set(self._request_id)

    def __exit__(self, *_: object) -> None:
        _request_id.reset(self._token)


def _add_request_id(_: object, __: str, event: EventDict) -> EventDict:
    event.setdefault("requestId", _request_id.get())
    return event


def _quieten_libraries() -> None:
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        # Where nobody listens uvicorn skips its access lines; the edge writes ours.
        logger.propagate = name != "uvicorn.access"
    for name in ("alembic", "httpx", "httpcore"):
        # Their INFO lines say nothing to operators, or hold upstream URLs.
        logging.getLogger(name).setLevel(logging.WARNING)


class _Output(Protocol):
    """Where finished lines go; writing never raises."""

    def write(self, line: bytes) -> None: ...

    def close(self) -> None: ...


class _StandardOutput:
    """Whatever is standard output at the moment of writing.

    The lines of one turn of the event loop leave together: a system call for each would
    be the dearest part of a line.
    """

    def __init__(self) -> None:
        self._is_due = False

    def write(self, line: bytes) -> None:
        # When the pipe is closed there is nowhere left to say so.
        with suppress(OSError, ValueError):
            sys.stdout.buffer.write(line + b"\n")
        if self._is_due:
            return
        try:
            asyncio.get_running_loop().call_soon(self._flush)
            self._is_due = True
        except RuntimeError:
            self._flush()

    def close(self) -> None:
        """Leave the stream open: it belongs to the process."""
        self._flush()

    def _flush(self) -> None:
        self._is_due = False
        with suppress(OSError, ValueError):
            sys.stdout.buffer.flush()


class _File:
    """A file that is rotated when it is full."""

    def __init__(self, path: Path, config: LogConfig) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handler = RotatingFileHandler(
            path,
            maxBytes=config.max_bytes,
            backupCount=config.backup_count,
            encoding="utf-8",
        )

    def write(self, line: bytes) -> None:
        self._handler.handle(logging.makeLogRecord({"msg": line.decode()}))

    def close(self) -> None:
        self._handler.close()


class _LibraryHandler(logging.Handler):
    """Hands standard library records to structlog, and owns the output."""

    def __init__(self, output: _Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level = min(record.levelno // 10 * 10, logging.CRITICAL)
            message = record.getMessage()
            get_logger(record.name).log(level, message, exc_info=record.exc_info)
        except Exception:  # noqa: BLE001 - the standard library's way to report it
            self.handleError(record)

    def close(self) -> None:
        self._output.close()
        super().close()
