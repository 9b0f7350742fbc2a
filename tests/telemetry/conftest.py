"""Logging belongs to the process: what a test sets up must not outlive it."""

import logging
from collections.abc import Iterator

import pytest
import structlog

LIBRARIES = ("uvicorn", "uvicorn.error", "uvicorn.access", "httpx", "httpcore")


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    libraries = [logging.getLogger(name) for name in LIBRARIES]
    states = [(item.level, item.propagate) for item in libraries]
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    for item, (old_level, old_propagate) in zip(libraries, states, strict=True):
        item.setLevel(old_level)
        item.propagate = old_propagate
    structlog.reset_defaults()
